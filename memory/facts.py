"""Facts in the store: what is believed of whom, since when, and by which turns; and what comes back on its day.

Facts come from `memory.fact_rules` and `memory.extraction`, off the reply path; how one bears on another is decided by
`memory.relations`. Functions over an open store: from an event loop, by `AsyncMemory.ask`. Nothing is ever overwritten:
what is over gets the end of its time in the world, what was an error the end of its time in the record, and what takes
its place is written in the same transaction.

Order is told by turns, not by clocks: what an older turn says never ends what a newer one said, whenever it is read.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta

from memory import rows
from memory.errors import MemoryInputError
from memory.messages import Fact
from memory.relations import RELATIONS, Bearing, bearing, ends, falls_on, fold, kind_and_name
from memory.rows import Pair
from memory.store import MemoryStore
from memory.words import storable

_SELECT = """
    SELECT id, subject, relation, object, day, valid_from, valid_to, recorded_from, recorded_to, source,
        (SELECT group_concat(turn_id) FROM fact_turns WHERE fact_id = facts.id)
    FROM facts WHERE person_id = ? AND character_id = ?
"""
_BELIEVED = f"{_SELECT} AND recorded_to IS NULL"
_CURRENT = f"{_BELIEVED} AND valid_to IS NULL"
_SAME_RELATION = """
    SELECT id, object FROM facts WHERE person_id = ? AND character_id = ? AND relation IN (?, ?) ORDER BY id
"""
_INSERT = """
    INSERT INTO facts
        (person_id, character_id, subject, relation, object, day, valid_from, valid_to, recorded_from, source, ended_by)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# A turn that was forgotten meanwhile, or is another pair's, is not cited.
_CITE = """
    INSERT OR IGNORE INTO fact_turns (fact_id, turn_id)
    SELECT ?, id FROM turns WHERE id = ? AND person_id = ? AND character_id = ?
"""
_END_BY = "UPDATE facts SET ended_by = ? WHERE id = ?"
_PASSING = ("plan", "feels", "wants", "keeps_from")
"""What is over with its day. A birthday comes back."""


def record(store: MemoryStore, person: str, character: str, facts: Sequence[Fact], at: float) -> None:
    """Take in what was found in turns of this pair; `at` is now, in seconds since 1970. One transaction.

    A fact with `valid_to` ends one that holds, one with `recorded_to` takes one back. What is known already gets one
    more citing turn; recording the same again changes nothing. What cites no turn that is still there is left out.
    """
    if facts:
        store.write("remember facts", lambda connection: record_within(connection, person, character, facts, at))


def record_within(
    connection: sqlite3.Connection, person: str, character: str, facts: Sequence[Fact], at: float
) -> None:
    """`record`, within the transaction of its caller."""
    pair = rows.find_pair(connection, person, character)
    taken: list[tuple[Fact, int]] = []
    over: list[tuple[Fact, int]] = []
    for fact in facts if pair else ():
        assert pair is not None
        turn_ids = _turns_there(connection, pair, fact.turn_ids)
        if turn_ids:
            said = replace(fact, object=storable(fact.object), turn_ids=turn_ids)
            if said.valid_to is not None or said.recorded_to is not None:
                over += [(said, fact_id) for fact_id in _end(connection, pair, said, at)]
            elif (fact_id := _take_in(connection, pair, said, at)) is not None:
                taken.append((said, fact_id))
    # "My dog died" ends one fact and is another one: when that is forgotten, the dog is alive again.
    for ending, fact_id in over:
        by = next((number for fact, number in taken if number != fact_id and _tells_why(fact, ending)), None)
        connection.execute(_END_BY, (by, fact_id))


def current(store: MemoryStore, person: str, character: str, today: date | None = None) -> tuple[Fact, ...]:
    """What holds and is believed now, oldest first; with `today`, without plans and feelings whose day is over."""

    def work(connection: sqlite3.Connection) -> tuple[Fact, ...]:
        pair = rows.find_pair(connection, person, character)
        return tuple(_facts(connection, f"{_CURRENT} ORDER BY id", pair)) if pair else ()

    facts = store.read("read the facts", work)
    return tuple(fact for fact in facts if today is None or not is_over(fact, today))


def history(store: MemoryStore, person: str, character: str) -> tuple[Fact, ...]:
    """Everything that ever was believed, also what is over and what was an error, oldest first."""

    def work(connection: sqlite3.Connection) -> tuple[Fact, ...]:
        pair = rows.find_pair(connection, person, character)
        return tuple(_facts(connection, f"{_SELECT} ORDER BY id", pair)) if pair else ()

    return store.read("read the facts", work)


def as_of(store: MemoryStore, person: str, character: str, *, valid_at: float, recorded_at: float) -> tuple[Fact, ...]:
    """What was believed at `recorded_at` to be so at `valid_at`, both in seconds since 1970."""
    return tuple(
        fact
        for fact in history(store, person, character)
        if fact.recorded_from <= recorded_at
        and (fact.recorded_to is None or recorded_at < fact.recorded_to)
        and (fact.valid_from is None or fact.valid_from <= valid_at)
        and (fact.valid_to is None or valid_at < fact.valid_to)
    )


def due_on(store: MemoryStore, person: str, character: str, today: date) -> tuple[Fact, ...]:
    """Birthdays and plans of `today`, then those of tomorrow; `memory.relations.sentence_of_day` says them.

    Meant to be asked on every turn: by an index on the day, whatever else is known.
    """
    dates = (today, today + timedelta(1))
    days = [day for each in dates for day in (each.isoformat(), f"{each:%m-%d}")] + ["02-29"]
    marks = ", ".join("?" * len(days))
    due = f"{_CURRENT} AND relation IN ('birthday', 'plan') AND day IN ({marks}) ORDER BY id"

    def work(connection: sqlite3.Connection) -> list[Fact]:
        pair = rows.find_pair(connection, person, character)
        return list(_facts(connection, due, pair, *days)) if pair else []

    facts = store.read("read what is due", work)
    return tuple(fact for each in dates for fact in facts if fact.day is not None and falls_on(fact.day, each))


def correct(
    store: MemoryStore, person: str, character: str, fact_id: int, replacement: str | None, at: float
) -> Fact | None:
    """A person mends the record: the fact never was so; `replacement`, if any, is the object that is true in its place.

    Returns the new fact. Raises MemoryInputError if this pair has no such fact that is believed.
    """

    def work(connection: sqlite3.Connection) -> Fact | None:
        pair = rows.find_pair(connection, person, character)
        found = list(_facts(connection, f"{_BELIEVED} AND id = ?", pair, fact_id)) if pair else []
        if pair is None or not found:
            raise MemoryInputError(f"there is no fact {fact_id} of this person and character; look its number up again")
        ended_by = _ended_by(connection, fact_id)
        _unbelieve(connection, found[0], at)
        if replacement is None or not replacement.strip():
            return None
        mended = _insert(
            connection,
            pair,
            replace(found[0], object=storable(replacement.strip()), source="person", recorded_from=at),
            ended_by=ended_by,
        )
        connection.execute(_END_BY, (mended.fact_id, fact_id))
        return mended

    return store.write("correct a fact", work)


def is_over(fact: Fact, today: date) -> bool:
    """Whether the day of a plan, a feeling or a surprise is past."""
    return fact.relation in _PASSING and fact.day is not None and len(fact.day) == 10 and fact.day < today.isoformat()


def _take_in(connection: sqlite3.Connection, pair: Pair, fact: Fact, at: float) -> int | None:
    """Take in what somebody said to be so; returns the fact that now says it, None if it was read before."""
    known = _of_the_same(connection, pair, fact)
    same_words = [old for old in known if old.relation == fact.relation and fold(old.object) == fold(fact.object)]
    if any(set(fact.turn_ids) <= set(old.turn_ids) for old in same_words):
        return None  # read again after a crash, or by the model after the rules, or after a person mended it
    new: Fact | None = replace(fact, recorded_from=at)
    ended: list[int | None] = []
    ended_by = says_it = None
    for old in known:
        if new is None or old.recorded_to is not None or old.valid_to is not None:
            continue
        bears = bearing(new, old)
        if bears is None:
            continue
        settled = _settle(connection, pair, new, old, bears, at)
        if bears == "same":
            says_it = old.fact_id
        elif bears == "replaces" and not _is_newer(new, old):
            ended_by = old.fact_id
        elif settled is not None:
            ended.append(old.fact_id)
        new = settled
    if new is not None:
        says_it = _insert(connection, pair, new, ended_by=ended_by).fact_id
    connection.executemany(_END_BY, [(says_it, fact_id) for fact_id in ended])
    return says_it


def _of_the_same(connection: sqlite3.Connection, pair: Pair, fact: Fact) -> list[Fact]:
    """What `fact` may bear on, ever known: a few of thousands, so that the rest is not even read."""
    relation = RELATIONS[fact.relation]
    kind = "" if relation.one or fact.relation == "keeps_from" else kind_and_name(fact.object)[0]
    found = connection.execute(_SAME_RELATION, (*pair, fact.relation, relation.opposite or fact.relation))
    ids = [fact_id for fact_id, thing in found if kind in thing.casefold()]
    known = [each for fact_id in ids for each in _facts(connection, f"{_SELECT} AND id = ?", pair, fact_id)]
    return [each for each in known if fold(each.subject) == fold(fact.subject)]


def _settle(connection: sqlite3.Connection, pair: Pair, new: Fact, old: Fact, bears: Bearing, at: float) -> Fact | None:
    """Do to `old` what `new` means for it; returns what is to be inserted of `new`."""
    is_newer = _is_newer(new, old)
    if bears == "same":
        _cite(connection, pair, old.fact_id, new.turn_ids)
        return None
    if bears == "refines":
        _unbelieve(connection, old, at)
        return replace(new, valid_from=old.valid_from, turn_ids=tuple(sorted({*old.turn_ids, *new.turn_ids})))
    if bears == "corrects":
        if is_newer:
            _unbelieve(connection, old, at)
        return new if is_newer else None
    if is_newer:
        _close(connection, old, new.valid_from if new.valid_from is not None else at)
        return new
    start = old.valid_from if old.valid_from is not None else at
    return replace(new, valid_to=max(start, new.valid_from if new.valid_from is not None else start))


def _is_newer(new: Fact, old: Fact) -> bool:
    return max(new.turn_ids) >= max(old.turn_ids, default=0)


def _end(connection: sqlite3.Connection, pair: Pair, ending: Fact, at: float) -> list[int]:
    """End the one fact that is meant and return it; of several dogs nobody knows which "my dog died" means, so none."""
    known = _of_the_same(connection, pair, ending)
    candidates = [old for old in known if old.recorded_to is None and old.valid_to is None and ends(ending, old)]
    exact = [old for old in candidates if fold(old.object) == fold(ending.object)]
    meant = exact or candidates
    if len(meant) != 1 or max(meant[0].turn_ids, default=0) > max(ending.turn_ids):
        return []
    if ending.recorded_to is not None:
        _unbelieve(connection, meant[0], at)
    else:
        _close(connection, meant[0], ending.valid_to if ending.valid_to is not None else at)
    return [fact.fact_id for fact in meant if fact.fact_id is not None]


def _tells_why(fact: Fact, ending: Fact) -> bool:
    """Whether `fact`, said in the same breath, is why what `ending` speaks of is over."""
    return (
        fold(fact.subject) == fold(ending.subject)
        and not {*ending.turn_ids}.isdisjoint(fact.turn_ids)
        and (
            fold(fact.object) == fold(ending.object)
            or (RELATIONS[fact.relation].one and fact.relation == ending.relation)
        )
    )


def _close(connection: sqlite3.Connection, fact: Fact, at: float) -> None:
    """It was so until `at`; not until before it began, since a board's clock may run backwards."""
    end = at if fact.valid_from is None else max(at, fact.valid_from)
    connection.execute("UPDATE facts SET valid_to = ? WHERE id = ?", (end, fact.fact_id))


def _unbelieve(connection: sqlite3.Connection, fact: Fact, at: float) -> None:
    end = max(at, fact.recorded_from)
    connection.execute("UPDATE facts SET recorded_to = ?, ended_by = NULL WHERE id = ?", (end, fact.fact_id))


def _ended_by(connection: sqlite3.Connection, fact_id: int) -> int | None:
    (by,) = connection.execute("SELECT ended_by FROM facts WHERE id = ?", (fact_id,)).fetchone()
    return int(by) if by is not None else None


def _insert(connection: sqlite3.Connection, pair: Pair, fact: Fact, *, ended_by: int | None = None) -> Fact:
    values = (fact.subject, fact.relation, fact.object, fact.day, fact.valid_from, fact.valid_to, fact.recorded_from)
    fact_id = connection.execute(_INSERT, (*pair, *values, fact.source, ended_by)).lastrowid
    _cite(connection, pair, fact_id, fact.turn_ids)
    return replace(fact, fact_id=fact_id)


def _cite(connection: sqlite3.Connection, pair: Pair, fact_id: int | None, turn_ids: Iterable[int]) -> None:
    connection.executemany(_CITE, [(fact_id, turn_id, *pair) for turn_id in turn_ids])


def _turns_there(connection: sqlite3.Connection, pair: Pair, turn_ids: Iterable[int]) -> tuple[int, ...]:
    there = "SELECT 1 FROM turns WHERE id = ? AND person_id = ? AND character_id = ?"
    return tuple(turn_id for turn_id in turn_ids if connection.execute(there, (turn_id, *pair)).fetchone())


def _facts(connection: sqlite3.Connection, question: str, pair: Pair, *values: object) -> Iterator[Fact]:
    for row in connection.execute(question, (*pair, *values)):
        fact_id, subject, relation, thing, day, valid_from, valid_to, recorded_from, recorded_to, source, cited = row
        yield Fact(
            fact_id=fact_id,
            subject=subject,
            relation=relation,
            object=thing,
            day=day,
            valid_from=valid_from,
            valid_to=valid_to,
            recorded_from=recorded_from,
            recorded_to=recorded_to,
            source=source,
            turn_ids=tuple(sorted(int(each) for each in (cited or "").split(",") if each)),
        )
