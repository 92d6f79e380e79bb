"""Two memories that became one believe what one memory would that had heard it all, and tell no hour twice."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from memory import facts, learning, sleep
from memory.exchange import export
from memory.forgetting import forget
from memory.importing import import_memory
from memory.messages import Fact
from memory.selecting import Selection
from memory.store import MemoryStore
from tests.memory.making import remember

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT = NOW.timestamp()
Said = tuple[float, str]


def memory_of(path: Path, said: Sequence[Said], *, sleeps: bool = False) -> Path:
    """A memory in which this was said at these times; returns the file it was exported to."""
    with MemoryStore(path) as store:
        for said_at, words in said:
            remember(store, words, "ok", said_at=said_at)
        learning.learn(store, "Anna", "Luna", UTC, AT)
        if sleeps:
            tuple(sleep.steps(store, NOW))
        export(store, path.with_suffix(".json"))
    return path.with_suffix(".json")


def believed(store: MemoryStore) -> list[tuple[str, str]]:
    for _ in range(2):  # what was learned is learned again where turns were given new numbers
        learning.learn(store, "Anna", "Luna", UTC, AT)
    return sorted((fact.relation, fact.object) for fact in facts.current(store, "Anna", "Luna"))


def of_city(store: MemoryStore) -> list[Fact]:
    return [fact for fact in facts.history(store, "Anna", "Luna") if fact.relation == "lives_in"]


def summaries(store: MemoryStore) -> list[tuple[int, int]]:
    return store.read(
        "look",
        lambda connection: connection.execute(
            "SELECT first_turn_id, last_turn_id FROM summaries ORDER BY first_turn_id"
        ).fetchall(),
    )


OLDER = ((1.6e9, "My name is Lena"), (1.6e9 + 60, "I live in Leeds"), (1.6e9 + 120, "I like tea"))
NEWER = ((1.7e9, "My name is Tom"), (1.7e9 + 60, "I live in York"), (1.7e9 + 120, "I don't like tea"))
BELIEVED = [("dislikes", "tea"), ("lives_in", "York"), ("name", "Tom")]


def test_what_was_said_last_holds_whichever_memory_takes_in_the_other(tmp_path: Path) -> None:
    older, newer = memory_of(tmp_path / "old.db", OLDER), memory_of(tmp_path / "new.db", NEWER)
    for path, other in ((tmp_path / "new.db", older), (tmp_path / "old.db", newer)):
        with MemoryStore(path) as store:
            assert import_memory(store, other).facts == 3
            assert believed(store) == BELIEVED
            leeds, york = sorted(of_city(store), key=lambda fact: fact.object)
            assert leeds.valid_to == york.valid_from == 1.7e9 + 60
            export(store, tmp_path / "merged.json")
            assert import_memory(store, other).facts == 0
            export(store, tmp_path / "again.json")
            assert (tmp_path / "again.json").read_text() == (tmp_path / "merged.json").read_text()
            forget(store, Selection(fact_ids=(york.fact_id or 0,)))
            assert ("lives_in", "Leeds") in believed(store)


def test_what_both_know_is_believed_once(tmp_path: Path) -> None:
    said = "I live in York. I like tea. My dog is called Rex"
    other = memory_of(tmp_path / "one.db", [(1.6e9, said)])
    memory_of(tmp_path / "two.db", [(1.7e9, said)])
    with MemoryStore(tmp_path / "two.db") as store:
        import_memory(store, other)
        assert believed(store) == [("likes", "tea"), ("lives_in", "York"), ("pet", "dog called Rex")]


def test_an_end_that_only_one_memory_knows_of_is_known_to_both(tmp_path: Path) -> None:
    memory_of(tmp_path / "old.db", OLDER)
    (tmp_path / "copy.db").write_bytes((tmp_path / "old.db").read_bytes())
    later = memory_of(tmp_path / "copy.db", NEWER)
    with MemoryStore(tmp_path / "old.db") as store:
        assert import_memory(store, later).known_turns == 3
        assert believed(store) == BELIEVED
        assert len(facts.history(store, "Anna", "Luna")) == 6
        export(store, tmp_path / "again.json")
        assert import_memory(store, tmp_path / "old.json").facts == 0
        assert believed(store) == BELIEVED


def test_no_hour_is_told_by_two_summaries(tmp_path: Path) -> None:
    def talks(*minutes: int) -> list[Said]:
        return [
            (1.6e9 + hour * 1e4 + minute * 60, f"My dog Rex dug hole number {hour} in minute {minute}")
            for hour in range(3)
            for minute in minutes
        ]

    other = memory_of(tmp_path / "one.db", [(1.5e9, "My brother Ben builds a boat"), *talks(1, 3)], sleeps=True)
    memory_of(tmp_path / "two.db", talks(2, 4), sleeps=True)
    with MemoryStore(tmp_path / "two.db") as store:
        assert import_memory(store, other).summaries == 1
        turns = [turn.turn_id or 0 for turn in store.last_turns("Anna", "Luna", 99)]
        assert summaries(store) == [(turns[0], turns[0])]
        tuple(sleep.steps(store, NOW))
        told = summaries(store)
        assert told == [(turns[first], turns[last]) for first, last in ((0, 0), (1, 4), (5, 8), (9, 12))]
        import_memory(store, other)
        assert summaries(store) == told
