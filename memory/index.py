"""The full-text index of what was said: its rows, kept in the caller's transaction, and where words were said.

One row per utterance: row 2n is what the person said in turn n, row 2n+1 what they heard in reply. Columns are speaker,
body, previous and next utterance. Recall asks where a word stands in the body, and knows by that what stands beside it;
the other columns let one query ask for words that are said close to each other, or around one person.

The table is contentless: the words stand once, in `turns`, and a row is taken out by giving FTS5 the very text that was
put in. So each row is a pure function of a turn and its two neighbours in the conversation, and the whole index can be
rebuilt from `turns` at any time.

FTS5's own ranking reads every row that has any of the words: at 100,000 turns it takes 26 ms for four words. So only so
many rows are asked for, the newest first; what they are worth is decided in `memory.scoring`.

Takes a connection whose transaction the caller owns, and answers with rows of everybody: the caller keeps those of the
pair that it asks for.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from memory.messages import Turn
from memory.words import QueryWord, segmented

CREATE = (
    "CREATE VIRTUAL TABLE utterances USING fts5(speaker, body, previous, next, content='', "
    "tokenize='porter unicode61 remove_diacritics 2')"
)

MOST_ROWS = 2_400
"""Rows that are asked for at most for all words of a query together: some 0.25 ms for a thousand."""

_FEWEST_ROWS, _MOST_ROWS_OF_A_WORD = 100, 600
_MOST_COMMON, _MOST_RARE = 2, 4
"""How many common words are looked for next to how many rare ones."""

_SMALL_SHARE = 0.25
"""A person whose turns are fewer than this share of all is looked for among the rows around their own words."""

_INSERT = "INSERT INTO utterances(rowid, speaker, body, previous, next) VALUES (?, ?, ?, ?, ?)"
_DELETE = "INSERT INTO utterances(utterances, rowid, speaker, body, previous, next) VALUES ('delete', ?, ?, ?, ?, ?)"
_SAID_IN = """
    SELECT group_concat(rowid) FROM
    (SELECT rowid FROM utterances WHERE utterances MATCH ? AND rowid <= ? ORDER BY rowid DESC LIMIT ?)
"""  # as one text: a row of its own for each takes three times as long

_Row = tuple[int, str, str, str, str]
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Rows of utterances that have a word, each once, in no order.

    `after_it`, `before_it`: rows of the person right after or before which it was said; the id of that utterance, only
    the order of the conversation tells. `is_all`: there are no others up to the newest.
    """

    ids: NDArray[np.int64]
    after_it: NDArray[np.int64]
    before_it: NDArray[np.int64]
    is_all: bool


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


def said_in(
    connection: sqlite3.Connection, words: Sequence[QueryWord], *, person: str, share: float, newest_id: int
) -> list[Found]:
    """For each word, the utterances up to `newest_id` that have it: all of them, or, of a common word, the newest ones
    and those next to a rare word of the query.

    `share` is the share of all utterances that the asking pair has: if that is small, only utterances of `person` and
    those right beside them are looked at.
    """
    limit = max(_FEWEST_ROWS, min(_MOST_ROWS_OF_A_WORD, MOST_ROWS // max(1, len(words))))
    search = _Search(connection, person if share < _SMALL_SHARE else None, newest_id, limit)
    found = [search.rows(word.phrase) for word in words]
    rare = [word.phrase for word, each in zip(words, found, strict=True) if each.is_all and each.ids.size]
    common = [number for number, each in enumerate(found) if not each.is_all and each.ids.size]
    # Of the newest rows, those of a rarer word reach further back.
    for number in sorted(common, key=lambda number: int(found[number].ids.min()))[: _MOST_COMMON if rare else 0]:
        close = search.rows_close_to(words[number].phrase, rare[:_MOST_RARE])
        found[number] = replace(found[number], ids=np.union1d(found[number].ids, close))
    return found


class _Search:
    """The index, asked about one person or, without one, about everybody."""

    def __init__(self, connection: sqlite3.Connection, person: str | None, newest_id: int, limit: int) -> None:
        self._connection, self._newest_id, self._limit = connection, newest_id, limit
        name = segmented(person or "").replace("\0", " ").replace('"', " ")
        self._around = f'speaker : "{name}" AND ' if any(map(str.isalnum, name)) else ""

    def rows(self, phrase: str) -> Found:
        if not self._around:
            ids = self._ask(f"body : {phrase}")
            return Found(ids=ids, after_it=_NONE, before_it=_NONE, is_all=ids.size < self._limit)
        own, after_it, before_it = (
            self._ask(f"{self._around}{column} : {phrase}") for column in ("body", "previous", "next")
        )
        is_all = max(own.size, after_it.size, before_it.size) < self._limit
        return Found(ids=own, after_it=after_it, before_it=before_it, is_all=is_all)

    def rows_close_to(self, phrase: str, others: Sequence[str]) -> NDArray[np.int64]:
        """The rows with a word that have one of the others in them or right beside them."""
        return self._ask(f"body : {phrase} AND {{body previous next}} : ({' OR '.join(others)})")

    def _ask(self, expression: str) -> NDArray[np.int64]:
        (rows,) = self._connection.execute(_SAID_IN, (expression, self._newest_id, self._limit)).fetchone()
        return np.fromstring(rows, np.int64, sep=",") if rows else _NONE


def _user_row(turn: Turn, previous: str) -> _Row:
    return _row(_first_row(turn), turn.person, turn.user_text, previous, turn.reply_text)


def _reply_row(turn: Turn, following: str) -> _Row:
    return _row(_first_row(turn) + 1, turn.character, turn.reply_text, turn.user_text, following)


def _first_row(turn: Turn) -> int:
    assert turn.turn_id is not None, "only committed turns are indexed"
    return 2 * turn.turn_id


def _row(rowid: int, speaker: str, body: str, previous: str, following: str) -> _Row:
    return rowid, segmented(speaker), segmented(body), segmented(previous), segmented(following)
