"""An answer that no model writes: fixed words, and what is done once they are the answer to what was really said."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from models.messages import Piece

Forgets = Literal["nothing", "last", "some", "everything"]


async def _nothing() -> None: ...


def given_text(text: str) -> Piece:
    """Words that no model made."""
    return Piece(text=text, tokens=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """`piece` is spoken in place of a reply. `carry_out` is called once, when the words it answers are final; where it
    raises MemoryStoreError, `failed` is spoken instead. `forgets`
    is what leaves the history then, "some" being what memory has not any more; without `remembers` this exchange itself
    enters neither history nor memory."""

    piece: Piece
    failed: Piece | None = None
    carry_out: Callable[[], Awaitable[None]] = _nothing
    forgets: Forgets = "nothing"
    remembers: bool = True
