"""Small makers that the tests of `memory` share."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from memory.messages import Query, Recalled, Turn
from memory.store import MemoryStore


def remember(
    store: MemoryStore,
    user_text: str,
    reply_text: str = "",
    *,
    person: str = "Anna",
    character: str = "Luna",
    conversation_id: int | None = None,
    said_at: float = 1_700_000_000.0,
) -> Turn:
    """Commit one turn, to the pair's newest conversation if none is given."""
    return store.commit_turn(
        Turn(
            conversation_id=conversation_id or store.open_conversation(person, character),
            person=person,
            character=character,
            user_text=user_text,
            reply_text=reply_text,
            said_at=said_at,
        )
    )


def query(text: str, limit: int, *, exclude_newest: int = 0) -> Query:
    """A query by words alone, at a fixed time."""
    at = datetime.fromtimestamp(1_700_000_000, UTC)
    return Query(text=text, at=at, limit=limit, exclude_newest=exclude_newest)


def recall(
    store: MemoryStore, person: str, character: str, text: str, limit: int, exclude_newest: int = 0
) -> tuple[Recalled, ...]:
    """What words alone bring back."""
    return store.recall(person, character, query(text, limit, exclude_newest=exclude_newest))


def index_terms(path: Path) -> list[tuple[str, int, str, int]]:
    """Everything the full-text index holds: term, row, column, position."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, utterances, instance)")
        connection.execute("INSERT INTO utterances(utterances) VALUES ('integrity-check')")
        return sorted(connection.execute("SELECT term, doc, col, offset FROM terms").fetchall())
    finally:
        connection.close()
