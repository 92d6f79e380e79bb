"""The full-text index of what was said: its rows, kept in the caller's transaction, and the search with its gate.

One row per utterance: row 2n is what the person said in turn n, row 2n+1 what they heard in reply. Columns are speaker,
body, previous and next utterance, weighted 1, 2, 1, 0.5: on LoCoMo (all questions, share of evidence turns found) 65 %
are among the first 5 and 74 % among the first 10 rows, against 58 % and 65 % with the body alone.

The table is contentless: the words stand once, in `turns`, and a row is taken out by giving FTS5 the very text that was
put in. So each row is a pure function of a turn and its two neighbours in the conversation, and the whole index can be
rebuilt from `turns` at any time.

Takes a connection whose transaction the caller owns; which turns a person may see is a condition of the query itself.
Word statistics are those of the whole store; they change the order of what one person recalls, never whose it is.
"""

import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memory.messages import Turn
from memory.words import QueryWord, query_words, segmented

CREATE = (
    "CREATE VIRTUAL TABLE utterances USING fts5(speaker, body, previous, next, content='', "
    "tokenize='porter unicode61 remove_diacritics 2')"
)

MIN_COVERAGE = 0.35
"""A turn is worth saying if it has this share of the query's words, each weighing what it is worth (IDF).

Measured on three conversations of LoCoMo (756 turns) with the questions asked about them: 94 % of the right first
finds pass, and of the questions about another family 11 % do, or 31 % when the names are taken out of them."""

RELATIVE_SCORE = 0.5
"""What scores less than this share of the best is left out: keeps 95 % of the evidence and drops 36 % of the rest."""

_FEWEST_ROWS = 500
"""Words are weighed as if there were at least so many rows, or a store of a few turns would find every word common."""

_INSERT = "INSERT INTO utterances(rowid, speaker, body, previous, next) VALUES (?, ?, ?, ?, ?)"
_DELETE = "INSERT INTO utterances(utterances, rowid, speaker, body, previous, next) VALUES ('delete', ?, ?, ?, ?, ?)"
_SEARCH = """
    SELECT utterances.rowid, -bm25(utterances, 1.0, 2.0, 1.0, 0.5) AS score
    FROM utterances CROSS JOIN turns ON turns.id = utterances.rowid / 2
    WHERE utterances MATCH ? AND turns.person_id = ? AND turns.character_id = ? AND turns.id <= ?
    ORDER BY score DESC, utterances.rowid DESC LIMIT ?
"""

_Row = tuple[int, str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose turns are searched, and up to which one. `names` are those of the person and of the character."""

    person_id: int
    character_id: int
    names: tuple[str, str]
    newest_turn_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A turn that the search found: by which of its utterances, and by which words."""

    turn_id: int
    score: float
    in_reply: bool
    words: tuple[str, ...]


def add(connection: sqlite3.Connection, turn: Turn, before: Turn | None) -> None:
    """Index a turn just appended to its conversation, and tell the one before it what was said next."""
    if before is not None and before.reply_text:
        connection.execute(_DELETE, _reply_row(before, following=""))
        connection.execute(_INSERT, _reply_row(before, following=turn.user_text))
    if turn.user_text:
        connection.execute(_INSERT, _user_row(turn, previous=before.reply_text if before else ""))
    if turn.reply_text:
        connection.execute(_INSERT, _reply_row(turn, following=""))


def remove(connection: sqlite3.Connection, turn: Turn, before: Turn | None, after: Turn | None) -> None:
    """Take a turn out of the index; `before` and `after` are its neighbours in the conversation, who become each
    other's."""
    rows = [_reply_row(turn, following=after.user_text if after else "")] if turn.reply_text else []
    if turn.user_text:
        rows.append(_user_row(turn, previous=before.reply_text if before else ""))
    joined = []
    if before is not None and before.reply_text:
        rows.append(_reply_row(before, following=turn.user_text))
        joined.append(_reply_row(before, following=after.user_text if after else ""))
    if after is not None and after.user_text:
        rows.append(_user_row(after, previous=turn.reply_text))
        joined.append(_user_row(after, previous=before.reply_text if before else ""))
    connection.executemany(_DELETE, rows)
    connection.executemany(_INSERT, joined)


def rebuild(connection: sqlite3.Connection, turns: Iterable[Turn]) -> None:
    """Write the whole index anew. `turns` are all turns there are, conversation after conversation, oldest first."""
    connection.execute("INSERT INTO utterances(utterances) VALUES ('delete-all')")
    before = None
    for turn in turns:
        same_conversation = before is not None and before.conversation_id == turn.conversation_id
        add(connection, turn, before if same_conversation else None)
        before = turn


def search(connection: sqlite3.Connection, query: str, scope: Scope, limit: int) -> list[Hit]:
    """The best turns that this person had with this character; none that is not worth saying.

    Best first, newer first among equals, at most `limit`. Any `query` will do; the two names in it help to tell who
    said something, but are no reason to recall anything. A turn may be found by what was said right before or after it.
    """
    words = query_words(query)
    names = {word.shown for name in scope.names for word in query_words(name)}
    reasons = [word for word in words if word.shown not in names]
    if not reasons:
        return []
    any_word = " OR ".join(word.phrase for word in words)
    # Twice the limit, since both utterances of a turn may be found.
    found = connection.execute(
        _SEARCH, (any_word, scope.person_id, scope.character_id, scope.newest_turn_id, 2 * limit)
    ).fetchall()
    if not found:
        return []
    rows = [(rowid, score) for rowid, score in found if score >= RELATIVE_SCORE * found[0][1]]
    evidence = _Evidence(connection, reasons, [rowid for rowid, _ in rows])
    hits: dict[int, Hit] = {}
    for rowid, score in rows:
        if evidence.coverage(rowid) >= MIN_COVERAGE:
            hit = Hit(turn_id=rowid // 2, score=score, in_reply=bool(rowid % 2), words=evidence.words(rowid))
            hits.setdefault(hit.turn_id, hit)
    return list(hits.values())[:limit]


class _Evidence:
    """Which words of the query stand in which of the rows found or beside them, and how much of the query that is."""

    def __init__(self, connection: sqlite3.Connection, words: Sequence[QueryWord], rowids: Sequence[int]) -> None:
        (n_turns,) = connection.execute("SELECT coalesce(max(id), 0) FROM turns").fetchone()  # cheap, and near enough
        n_rows = max(2 * n_turns, _FEWEST_ROWS)
        marks = ", ".join("?" * len(rowids))
        in_row = f"SELECT rowid FROM utterances WHERE utterances MATCH ? AND rowid IN ({marks})"  # noqa: S608
        self._weights: list[float] = []
        self._rows: list[set[int]] = []
        for word in words:
            (n,) = connection.execute(
                "SELECT count(*) FROM utterances WHERE utterances MATCH ?", (f"body : {word.phrase}",)
            ).fetchone()
            weight = math.log1p((n_rows - n + 0.5) / (n + 0.5))
            # About half of all pairs straddle two words; one that was never said is likely such a pair.
            self._weights.append(weight / 2 if word.is_pair and n == 0 else weight)
            said = f"{{body previous next}} : {word.phrase}"
            self._rows.append({rowid for (rowid,) in connection.execute(in_row, (said, *rowids))})
        self._shown = [word.shown for word in words]

    def words(self, rowid: int) -> tuple[str, ...]:
        return tuple(word for word, rows in zip(self._shown, self._rows, strict=True) if rowid in rows)

    def coverage(self, rowid: int) -> float:
        matched = sum(weight for weight, rows in zip(self._weights, self._rows, strict=True) if rowid in rows)
        return matched / sum(self._weights)


def _user_row(turn: Turn, previous: str) -> _Row:
    return _row(_first_row(turn), turn.person, turn.user_text, previous, turn.reply_text)


def _reply_row(turn: Turn, following: str) -> _Row:
    return _row(_first_row(turn) + 1, turn.character, turn.reply_text, turn.user_text, following)


def _first_row(turn: Turn) -> int:
    assert turn.turn_id is not None, "only committed turns are indexed"
    return 2 * turn.turn_id


def _row(rowid: int, speaker: str, body: str, previous: str, following: str) -> _Row:
    return rowid, segmented(speaker), segmented(body), segmented(previous), segmented(following)
