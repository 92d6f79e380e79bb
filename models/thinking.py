"""Thoughts: what a reasoning model writes between `<think>` and `</think>` is never part of what it says.

Pieces of whole characters come in, in order; those that are said come out, as early as that is certain. Pure: no model.
Whether a reply begins inside a thought is seen at the end of its prompt, because some templates open one there. How
many tokens a thought may have, and that it is then closed for the model, is up to `models.generation`; whether a
template asks for thoughts at all, to `models.template`.
"""

import re

from models.messages import Piece
from models.pieces import split, text_of, whole
from models.stops import possible_start

_NAMES = ("<think>", "<thinking>", "<reasoning>", "[THINK]")
"""As Qwen, DeepSeek, SmolLM and most others write it, what small models make of it, and Mistral."""

CLOSING = {opening: f"{opening[0]}/{opening[1:]}" for opening in _NAMES}
"""The tag that closes a thought, by the one that opens it."""

_CLOSERS = tuple(CLOSING.values())
TAGS = (*CLOSING, *_CLOSERS)

_ANY = re.compile("|".join(map(re.escape, TAGS)))
_CLOSE = re.compile("|".join(map(re.escape, _CLOSERS)))
_LINE_BREAKS = re.compile(r"\s*\n\s*")


def open_thought(prompt_end: str) -> str:
    """The tag with which a prompt that ends like this has opened a thought, or "". An empty thought that is closed
    again is how templates say that there is none."""
    end = prompt_end.rstrip()
    return next((opening for opening in CLOSING if end.endswith(opening)), "")


class ThoughtFilter:
    """One reply without its thoughts. A thought that is never closed hides all that follows; any closing tag closes it,
    and one that closes nothing is hidden too.

    `opened` is the tag of the thought that the reply is inside of, "" outside.
    """

    def __init__(self, opened: str = "", *, more: bool = True) -> None:
        """`opened` by the prompt. Without `more` only that thought is hidden, and with it the rest of the token that
        closes it: for replies whose text must be what a grammar made of it."""
        self.opened = opened
        self._more = more
        self._held: list[Piece] = []  # outside: perhaps the beginning of a tag, or space before one; inside: its end
        self._said = ""  # the last character that came out
        self._behind_thought = bool(opened)  # only hidden text since the last character

    def push(self, piece: Piece) -> list[Piece]:
        """Take the next piece; return what is certain to be said."""
        self._held.append(piece)
        said: list[Piece] = []
        while self._step(said):
            pass
        return said

    def finish(self) -> list[Piece]:
        """The reply is over: return what was held back."""
        held, self._held = self._held, []
        return [] if self.opened else self._out(held)

    def close(self) -> None:
        """The thought was closed from outside: what comes now is said."""
        self.opened, self._held, self._behind_thought = "", [], True

    def _step(self, said: list[Piece]) -> bool:
        """Move up to the next tag, or as far as possible. True if there was a tag and more may follow."""
        text = text_of(self._held)
        if not self.opened:
            return self._step_outside(text, said)
        tag = _CLOSE.search(text)
        if tag is None:
            end = possible_start(text, _CLOSERS)
            self._held = [Piece(text=text[-end:], tokens=())] if end else []
            return False
        rest = split(self._held, tag.end())[1]
        self.close()
        if self._more:
            self._held = rest
        return bool(self._held)

    def _step_outside(self, text: str, said: list[Piece]) -> bool:
        tag = _ANY.search(text) if self._more else None
        if tag is None:
            said += self._out(self._release(text))
            return False
        before = split(self._held, tag.start())[0]
        if self._said or text[: tag.start()].strip():
            said += self._out(before)
        self._held = split(self._held, tag.end())[1]
        self.opened = tag.group() if tag.group() in CLOSING else ""
        self._behind_thought = True
        return bool(self._held)

    def _release(self, text: str) -> list[Piece]:
        """Take out of what is held the pieces that can be no part of a tag, and no space that only leads to one."""
        if not self._more:
            n_certain = len(text)
        elif not self._said and text.isspace():
            n_certain = 0
        else:
            n_certain = len(text) - possible_start(text, TAGS)
        n_pieces = whole(self._held, n_certain)
        released, self._held = self._held[:n_pieces], self._held[n_pieces:]
        return released

    def _out(self, pieces: list[Piece]) -> list[Piece]:
        """What of these pieces is said: not the white space that set a thought apart."""
        out = []
        for piece in pieces:
            kept = self._without_gap(piece)
            if kept is not None:
                out.append(kept)
                self._said, self._behind_thought = kept.text[-1], False
        return out

    def _without_gap(self, piece: Piece) -> Piece | None:
        if not self._behind_thought or (self._said and not self._said.isspace()):
            return piece
        if piece.text.isspace():
            return None
        gap = _LINE_BREAKS.match(piece.text)
        return Piece(text=piece.text[gap.end() :], tokens=()) if gap else piece
