"""Two memories that became one: where they contradict each other, and where both tell of the same hours.

For `memory.importing`, when all turns have the numbers they will keep. Works in the caller's transaction. What was said
is never touched; facts and summaries, which are made of it, are put as if one memory had heard it all.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Hashable
from collections.abc import Set as AbstractSet

from memory.messages import Fact
from memory.relations import RELATIONS, bearing, fold, topic
from memory.rows import Pair

_HELD = """
    SELECT facts.id, subject, relation, object, day, valid_from, recorded_from, coalesce(max(turn_id), 0) AS newest
    FROM facts LEFT JOIN fact_turns ON fact_id = facts.id
    WHERE person_id = ? AND character_id = ? AND recorded_to IS NULL AND valid_to IS NULL
    GROUP BY facts.id ORDER BY newest, facts.id
"""
_SUMMARIES = """
    SELECT id, first_turn_id, last_turn_id FROM summaries WHERE person_id = ? AND character_id = ?
    ORDER BY first_turn_id, id
"""
_WITHIN = "SELECT id FROM turns WHERE person_id = ? AND character_id = ? AND id BETWEEN ? AND ?"


def settle_facts(connection: sqlite3.Connection, pair: Pair) -> None:
    """End whatever a newer turn of this pair contradicts, by the rules and in the ways of `memory.facts`; and of what
    both memories know in the same words, the older telling, which goes on in the newer one."""
    standing: defaultdict[Hashable, dict[Hashable, list[Fact]]] = defaultdict(dict)
    for fact_id, subject, relation, thing, day, valid_from, recorded_from, newest in connection.execute(
        _HELD, pair
    ).fetchall():
        new = Fact(
            fact_id=fact_id,
            subject=subject,
            relation=relation,
            object=thing,
            day=day,
            valid_from=valid_from,
            recorded_from=recorded_from,
            turn_ids=(newest,),
        )
        if relation not in RELATIONS:  # a newer version's
            continue
        # Those of the same words bear alike on what comes, so one of each is looked at, however many there are.
        held, own_words = standing[_matter(new)], (relation, fold(thing))
        for words, facts in tuple(held.items()):
            bears = bearing(new, facts[0])
            is_over = bears in ("replaces", "corrects")
            ended = [old for old in facts if is_over or (words == own_words and old.day in (None, day))]
            for old in ended:
                _end(connection, new, old, was_error=bears == "corrects")
            held[words] = [old for old in facts if old not in ended]
            if not held[words]:
                del held[words]
        held.setdefault(own_words, []).append(new)


def drop_overlapping_summaries(
    connection: sqlite3.Connection,
    pair: Pair,
    *,
    came: Collection[int],
    turns_came: AbstractSet[int],
    turns_of_file: AbstractSet[int],
) -> int:
    """Drop summaries of this pair that tell of hours they know only a part of; the next sleep tells them anew.

    One that was here goes if a turn came in among its own (`turns_came`); one that came in (`came`), if there are turns
    among its own that the file has not (`turns_of_file`), or another one tells of them already. Returns how many of
    `came` went.
    """
    found = connection.execute(_SUMMARIES, pair).fetchall()
    told: set[int] = set()
    dropped: list[int] = []
    for summary_id, first, last in sorted(found, key=lambda each: each[0] in came):  # those that were here first
        turns = {turn_id for (turn_id,) in connection.execute(_WITHIN, (*pair, first, last))}
        is_whole = turns <= turns_of_file and not turns & told if summary_id in came else not turns & turns_came
        if turns and is_whole:  # none between them: both memories had them in another order
            told |= turns
        else:
            dropped.append(summary_id)
    connection.executemany("DELETE FROM summaries WHERE id = ?", [(summary_id,) for summary_id in dropped])
    return sum(summary_id in came for summary_id in dropped)


def _matter(fact: Fact) -> Hashable:
    """What is the same of all facts that can end this one."""
    relation = RELATIONS[fact.relation]
    if relation.one:
        return fold(fact.subject), fact.relation, topic(fact)
    return fold(fact.subject), frozenset((fact.relation, relation.opposite or fact.relation)), fold(fact.object)


def _end(connection: sqlite3.Connection, new: Fact, old: Fact, *, was_error: bool) -> None:
    """The times are the new fact's own, as if it had been recorded second, whenever it was."""
    begun = new.valid_from if new.valid_from is not None else new.recorded_from
    column, end, start = (
        ("recorded_to", new.recorded_from, old.recorded_from) if was_error else ("valid_to", begun, old.valid_from)
    )
    values = (end if start is None else max(end, start), new.fact_id, old.fact_id)
    connection.execute(f"UPDATE facts SET {column} = ?, ended_by = ? WHERE id = ?", values)  # noqa: S608  of the two
