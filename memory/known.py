"""What is known beside the words themselves: facts and summaries that belong to the turns that recall has found.

They are found by those turns: a fact by a turn that it cites, a summary by the turns of its episode. So they need no
index of their own, and go with the turns when these are forgotten. Of a fact that is over, what holds now is told in
its place. Functions over a connection, for `memory.recall`.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from memory.messages import Fact
from memory.relations import RELATIONS, sentence, topic
from memory.rows import Pair

_FACTS = """
    SELECT cited.turn_id, cited.id, cited.object,
        known.id, known.subject, known.relation, known.object, known.day,
        known.valid_from, known.recorded_from, known.source
    FROM (
        SELECT turn_id, facts.* FROM fact_turns JOIN facts ON facts.id = fact_id
        WHERE turn_id IN (SELECT value FROM json_each(?)) AND person_id = ? AND character_id = ?
    ) AS cited
    JOIN facts AS known ON known.person_id = cited.person_id AND known.character_id = cited.character_id
        AND known.recorded_to IS NULL AND known.valid_to IS NULL AND (
            known.id = cited.id
            OR (cited.valid_to IS NOT NULL OR cited.recorded_to IS NOT NULL)
                AND known.subject = cited.subject AND known.relation = cited.relation
        )
    ORDER BY known.id
"""
_COLUMNS = ("fact_id", "subject", "relation", "object", "day", "valid_from", "recorded_from", "source")
_SUMMARIES = """
    SELECT first_turn_id, last_turn_id, text, made_at FROM summaries
    WHERE person_id = ? AND character_id = ? AND last_turn_id >= ? ORDER BY last_turn_id LIMIT 1
"""
_NOT_TOLD = ("keeps_from", "knows", "believes")
"""What is in somebody's mind serves not to spoil or repeat things (`memory.beliefs`); it is not told to them."""

FEWEST_OF_AN_EPISODE = 3
"""An episode of which so many turns were found is what is asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFact:
    """A fact that holds now, as a sentence spoken to the person, and by which of the turns asked about it was found."""

    text: str
    turn_id: int
    known_from: float
    was_otherwise: bool
    """What that turn says is over: this is what holds now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEpisode:
    """The summary of an episode that several of the turns asked about are of."""

    text: str
    turn_ids: tuple[int, ...]
    made_at: float


def facts_of(connection: sqlite3.Connection, pair: Pair, turn_ids: Sequence[int], today: date) -> list[KnownFact]:
    """What holds of that which these turns tell; each fact once, found by the first of `turn_ids` that has it."""
    found: dict[int, KnownFact] = {}
    order = {turn_id: number for number, turn_id in enumerate(turn_ids)}
    given = (json.dumps(list(turn_ids)), *pair)
    for turn_id, cited_id, cited_object, *columns in connection.execute(_FACTS, given):
        fact = Fact(**dict(zip(_COLUMNS, columns, strict=True)))
        if fact.relation in _NOT_TOLD or _is_over(fact, today):
            continue
        was_otherwise = cited_id != fact.fact_id
        if was_otherwise and not _replaces(fact, replace(fact, object=cited_object)):
            continue
        assert fact.fact_id is not None
        known = KnownFact(
            text=sentence(fact), turn_id=turn_id, known_from=fact.recorded_from, was_otherwise=was_otherwise
        )
        fact_id = fact.fact_id
        if fact_id not in found or order[turn_id] < order[found[fact_id].turn_id]:
            found[fact_id] = known
    return sorted(found.values(), key=lambda each: order[each.turn_id])


def episodes_of(connection: sqlite3.Connection, pair: Pair, turn_ids: Sequence[int]) -> list[KnownEpisode]:
    """Summaries of the episodes that at least FEWEST_OF_AN_EPISODE of these turns belong to."""
    left = sorted(set(turn_ids))
    found = []
    while left:
        row = connection.execute(_SUMMARIES, (*pair, left[0])).fetchone()
        if row is None:
            break
        first, last, text, made_at = row
        inside = tuple(turn_id for turn_id in left if first <= turn_id <= last)
        if len(inside) >= FEWEST_OF_AN_EPISODE:
            found.append(KnownEpisode(text=text, turn_ids=inside, made_at=made_at))
        left = [turn_id for turn_id in left if turn_id > max(last, left[0])]
    return found


def shares_a_word(text: str, words: Sequence[str]) -> bool:
    """Whether one of these words, or the singular of an English one, is part of the text: a turn may tell of several
    things, of which one is asked about."""
    folded = text.casefold()
    return any((word[:-1] if len(word) > 3 and word.endswith("s") else word) in folded for word in words)


def _is_over(fact: Fact, today: date) -> bool:
    return fact.day is not None and len(fact.day) == len("YYYY-MM-DD") and fact.day < today.isoformat()


def _replaces(fact: Fact, old: Fact) -> bool:
    """Whether `fact` is what holds in the place of `old`: of much else, such as likes, there are several."""
    return RELATIONS[fact.relation].one and topic(fact) == topic(old)
