"""An answer that no model writes: fixed words, and what is done once they are the answer to what was really said."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from device.history import History
from models.messages import Piece


async def _nothing(_history: History) -> None: ...


def given_text(text: str) -> Piece:
    """Words that no model made."""
    return Piece(text=text, tokens=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """`piece` is spoken in place of a reply. `carry_out` is called once, when the words it answers are final, with the
    history, of which it takes out what is forgotten; it gives what is to be said instead, if that is not `piece`.
    Without `remembers` this exchange itself enters neither history nor memory."""

    piece: Piece
    carry_out: Callable[[History], Awaitable[Piece | None]] = _nothing
    remembers: bool = True
