"""From generated tokens to pieces of text: whole characters, nothing of a thought or a stop string, text that fits its
tokens.

A token is bytes, and a character may lie across several. What ends a reply (`models.stops`) or is no part of it
(`models.thinking`) may begin anywhere in a token, and what begins like it must wait. The text of a Piece is exactly
that of its tokens, so that a reply can be cut between any two pieces and its tokens still be those that stand in the KV
cache. Pure: no model, no clock.
"""

import codecs
from typing import Literal

from models.messages import Piece
from models.pieces import joined, split, text_of, whole
from models.stops import ReplyLimits, StopStrings, WordLimit
from models.thinking import ThoughtFilter


class ReplyText:
    """Collects the tokens of one reply. `ended` says why its text ended: None while it goes on."""

    def __init__(self, limits: ReplyLimits, thoughts: ThoughtFilter | None = None) -> None:
        """`thoughts` knows whether the reply begins inside one; None: it does not."""
        self._stops = StopStrings(limits.stop)
        self._words = WordLimit(limits.max_words, limits.clause_slack_words)
        self._thoughts = thoughts or ThoughtFilter()
        self._begin_character()
        self._held: list[Piece] = []  # whole characters, but perhaps the beginning of a stop string
        self.ended: Literal["stop_string", "max_words"] | None = None

    @property
    def thought(self) -> str:
        """The tag that opened the thought that the reply is inside of; "" outside."""
        return self._thoughts.opened

    def push(self, token: int, token_bytes: bytes) -> Piece | None:
        """Add a token; return the text that is certain now, if any."""
        self._open_tokens.append(token)
        self._open_text += self._decoder.decode(token_bytes)
        if not self._open_text or self._decoder.getstate()[0]:
            return None
        return self._said(self._thoughts.push(self._whole_characters()))

    def close_thought(self) -> None:
        """The thought was closed for the model: what comes now is said."""
        self._begin_character()
        self._thoughts.close()

    def finish(self) -> Piece | None:
        """The reply is over: return what was held back. A character that it ended within (it was cut, or its model is
        a poor one) is no part of it; bytes that could never become one were replaced by U+FFFD."""
        if self._decoder.getstate()[0]:
            self._open_tokens.clear()  # the last of them says more than what is whole: the text has no tokens then
        last = self._thoughts.push(self._whole_characters()) if self._open_text else []
        said = self._said([*last, *self._thoughts.finish()])
        if self.ended is None:
            held, self._held = self._held, []
            said = joined([piece for piece in (said, self._up_to_last_word(held)) if piece])
        return said

    def _begin_character(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._open_text = ""  # of tokens that end inside a character, or that had no text yet
        self._open_tokens: list[int] = []

    def _whole_characters(self) -> Piece:
        piece = Piece(text=self._open_text, tokens=tuple(self._open_tokens))
        self._open_text, self._open_tokens = "", []
        return piece

    def _said(self, pieces: list[Piece]) -> Piece | None:
        """What is certain to be said of the text that is held and these pieces."""
        self._held += pieces
        n_certain, stopped = self._stops.certain(text_of(self._held))
        if stopped:
            taken, self._held = split(self._held, n_certain)[0], []
            self.ended = "stop_string"
        else:
            n_pieces = whole(self._held, n_certain)
            taken, self._held = self._held[:n_pieces], self._held[n_pieces:]
        return self._up_to_last_word(taken)

    def _up_to_last_word(self, pieces: list[Piece]) -> Piece | None:
        for at, piece in enumerate(pieces):
            n_chars = self._words.cut(piece.text)
            if n_chars is not None:
                self.ended = "max_words"
                return joined([*pieces[:at], *split([piece], n_chars)[0]])
        return joined(pieces)
