"""From generated tokens to pieces of text: whole characters, nothing of a stop string, and text that fits its tokens.

A token is bytes, and a character may lie across several. A stop string may begin anywhere in a token, and what begins
like one must wait. The text of a Piece is exactly that of its tokens, so that a reply can be cut between any two pieces
and its tokens still be those that stand in the KV cache. Pure: no model, no clock.
"""

import codecs

from models.messages import Piece


class ReplyText:
    """Collects the tokens of one reply. `stopped` becomes true once a stop string has appeared."""

    def __init__(self, stop: tuple[str, ...] = ()) -> None:
        if "" in stop:
            raise ValueError("a stop string must not be empty")
        self._stop = stop
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._open_text = ""  # of tokens that end inside a character, or that had no text yet
        self._open_tokens: list[int] = []
        self._held: list[Piece] = []  # whole characters, but perhaps the beginning of a stop string
        self.stopped = False

    def push(self, token: int, token_bytes: bytes) -> Piece | None:
        """Add a token; return the text that is certain now, if any."""
        self._open_tokens.append(token)
        self._open_text += self._decoder.decode(token_bytes)
        if not self._open_text or self._decoder.getstate()[0]:
            return None
        self._close()
        return self._release()

    def finish(self) -> Piece | None:
        """The reply is over: return what was held back. Bytes that never became a character are replaced by U+FFFD."""
        self._open_text += self._decoder.decode(b"", final=True)
        if self._open_text:
            self._close()
        held, self._held = self._held, []
        return _joined(held)

    def _close(self) -> None:
        self._held.append(Piece(text=self._open_text, tokens=tuple(self._open_tokens)))
        self._open_text, self._open_tokens = "", []

    def _release(self) -> Piece | None:
        text = "".join(piece.text for piece in self._held)
        found = [at for at in (text.find(stop) for stop in self._stop) if at >= 0]
        if found:
            self.stopped = True
            return self._cut(min(found))
        return self._take(len(text) - self._threat(text))

    def _threat(self, text: str) -> int:
        """The length of the longest end of `text` that may yet become a stop string."""
        longest = max((len(stop) for stop in self._stop), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stop):
                return length
        return 0

    def _take(self, n_chars: int) -> Piece | None:
        """Release the held pieces that end within the first `n_chars` characters."""
        taken = []
        while self._held and len(self._held[0].text) <= n_chars:
            taken.append(self._held.pop(0))
            n_chars -= len(taken[-1].text)
        return _joined(taken)

    def _cut(self, n_chars: int) -> Piece | None:
        """Release exactly `n_chars` characters and drop the rest."""
        text = "".join(piece.text for piece in self._held)[:n_chars]
        whole = self._take(n_chars)
        self._held = []
        if whole is not None and whole.text == text:
            return whole
        return Piece(text=text, tokens=()) if text else None  # the end of the text lies inside a token


def _joined(pieces: list[Piece]) -> Piece | None:
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        return None
    return Piece(text="".join(p.text for p in pieces), tokens=tuple(token for p in pieces for token in p.tokens))
