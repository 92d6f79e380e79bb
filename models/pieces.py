"""Runs of pieces of a reply, joined and split so that a piece's text stays exactly that of its tokens.

What is cut inside a token has no tokens any more: `models.prompt` tokenizes it when it becomes history.
"""

from collections.abc import Sequence

from models.messages import Piece


def text_of(pieces: Sequence[Piece]) -> str:
    """Their text."""
    return "".join(piece.text for piece in pieces)


def joined(pieces: Sequence[Piece]) -> Piece | None:
    """One piece in place of several, without tokens if one of them has none; None for no piece."""
    if len(pieces) <= 1:
        return pieces[0] if pieces else None
    known = all(piece.tokens for piece in pieces)
    tokens = tuple(token for piece in pieces for token in piece.tokens) if known else ()
    return Piece(text=text_of(pieces), tokens=tokens)


def split(pieces: Sequence[Piece], n_chars: int) -> tuple[list[Piece], list[Piece]]:
    """The pieces of the first `n_chars` characters, and the others. One that lies across becomes two without tokens."""
    before: list[Piece] = []
    for at, piece in enumerate(pieces):
        if n_chars <= 0:
            return before, list(pieces[at:])
        if len(piece.text) > n_chars:
            before.append(Piece(text=piece.text[:n_chars], tokens=()))
            return before, [Piece(text=piece.text[n_chars:], tokens=()), *pieces[at + 1 :]]
        before.append(piece)
        n_chars -= len(piece.text)
    return before, []


def whole(pieces: Sequence[Piece], n_chars: int) -> int:
    """How many of the pieces end within the first `n_chars` characters."""
    for at, piece in enumerate(pieces):
        n_chars -= len(piece.text)
        if n_chars < 0:
            return at
    return len(pieces)
