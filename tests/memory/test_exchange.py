"""A memory goes out as a file that people can read, and comes back as it was."""

import json
import re
import sqlite3
import stat
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory import exchange, facts, index, rows
from memory.errors import MemoryAccessError, MemoryBusyError, MemoryInputError
from memory.exchange import TABLES, export
from memory.forgetting import forget
from memory.importing import import_memory
from memory.learning import learn
from memory.messages import Turn
from memory.relations import sentence
from memory.selecting import Selection
from memory.sleep import steps
from memory.store import MemoryStore
from memory.times import EARLIEST_S, LATEST_S
from tests.memory.filling import HOUR_S, SAID, STARTED_AT, contents, fill
from tests.memory.making import index_terms, recall, remember


def exported(store: MemoryStore, path: Path) -> str:
    export(store, path)
    return path.read_text(encoding="utf-8")


def test_a_memory_comes_back_as_it_was(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "one.db") as store:
        fill(store)
        remember(store, 'Grüße \x00 \u2028 恐龙 🦕 "\\', "", person="Zoë O'Neil", said_at=-5.5)
        forget(store, Selection(turn_ids=(2,)))
        first = exported(store, tmp_path / "one.json")
    with MemoryStore(tmp_path / "two.db") as store:
        assert import_memory(store, tmp_path / "one.json").turns == 6
        assert exported(store, tmp_path / "two.json") == first
        assert recall(store, "Anna", "Luna", "red mitten", 5)[0].text == SAID[0][2]
        assert remember(store, "new").turn_id == 8
    kept = index_terms(tmp_path / "two.db")
    with closing(sqlite3.connect(tmp_path / "two.db", isolation_level=None)) as connection:
        index.rebuild(connection, rows.all_turns(connection))
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert index_terms(tmp_path / "two.db") == kept


def test_the_file_is_for_people_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("older")
    path.chmod(0o644)
    with MemoryStore(tmp_path / "memory.db") as store:
        fill(store)
        text = exported(store, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = json.loads(text)
    assert document["format"] == "familiar-memory"
    assert document["turns"][1] == {
        "id": 2,
        "conversation": 1,
        "person": "Anna",
        "character": "Luna",
        "user_text": "We were flying to Zanzibar with my brother Quentin",
        "reply_text": "What a journey",
        "said_at": STARTED_AT + HOUR_S,
        "said_at_iso": "2023-11-14T23:13:20+00:00",
        "interrupted": False,
    }
    assert document["facts"][1]["turns"] == [2, 3]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["memory.db", "out.json"]


def test_every_table_of_the_memory_is_exchanged(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    MemoryStore(path).close()
    told_by_others = {"people", "characters", "encoders", "fact_turns"}
    of_this_file_alone = {"forgettings"}
    assert contents(path).keys() == {table.name for table in TABLES} | told_by_others | of_this_file_alone
    with closing(sqlite3.connect(path)) as connection:
        for table in TABLES:
            columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table.name})")]
            assert sorted(column.column for column in table.columns) == sorted(columns), table.name


def test_one_persons_memory_is_exported_alone(tmp_path: Path) -> None:
    path = tmp_path / "ben.json"
    with MemoryStore(tmp_path / "memory.db") as store:
        fill(store)
        export(store, path, person="Ben")
        text = path.read_text()
        assert [turn["id"] for turn in json.loads(text)["turns"]] == [5, 6]
        assert not [word for word in ("Anna", "mitten", "Quentin", "darkness", "pleasure") if word in text]
        export(store, path, person="Anna", character="Rex")
        assert {key: len(value) for key, value in json.loads(path.read_text()).items() if isinstance(value, list)} == {
            "conversations": 1, "turns": 1, "meanings": 2, "recalls": 1, "facts": 0, "summaries": 0, "stimuli": 0,
            "moods": 0, "progress": 0,
        }  # fmt: skip
    with MemoryStore(tmp_path / "other.db") as store:
        assert import_memory(store, path).turns == 1
        assert exported(store, tmp_path / "again.json") == path.read_text()


def test_what_is_there_already_is_there_once(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        fill(store)
        remember(store, "Good morning", said_at=5.0)
        remember(store, "Good morning", said_at=5.0)
        first = exported(store, tmp_path / "one.json")
        done = import_memory(store, tmp_path / "one.json")
        assert (done.turns, done.known_turns, done.facts, done.summaries) == (0, 8, 0, 0)
        assert exported(store, tmp_path / "two.json") == first


def test_two_memories_become_one_in_the_order_of_time(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "old.db") as store:
        fill(store)
        exported(store, tmp_path / "old.json")
    with MemoryStore(tmp_path / "new.db") as store:
        remember(store, "Before it all", said_at=STARTED_AT - 1)
        remember(store, SAID[1][2], SAID[1][3], said_at=STARTED_AT + HOUR_S)
        newest = remember(store, "After it all", said_at=STARTED_AT + 99 * HOUR_S)
        store.write("derive", lambda c: c.execute("INSERT INTO progress VALUES ('summaries', 1, 1, 3)"))
        done = import_memory(store, tmp_path / "old.json")
        assert (done.turns, done.known_turns, done.facts) == (5, 1, 4)
        turns = store.last_turns("Anna", "Luna", 9)
        told = ["Before it all", SAID[0][2], SAID[1][2], SAID[2][2], "After it all"]
        assert [turn.user_text for turn in turns] == told
        assert newest.turn_id is not None
        assert all(turn.turn_id is not None and turn.turn_id > newest.turn_id for turn in turns[1:])
        assert recall(store, "Anna", "Luna", "red mitten", 5)[0].turn == turns[1]
        merged = exported(store, tmp_path / "merged.json")
        assert import_memory(store, tmp_path / "old.json").turns == 0
        assert exported(store, tmp_path / "again.json") == merged
        now = json.loads(merged)
    by_text = {turn["user_text"]: turn["id"] for turn in now["turns"]}
    brother = next(fact for fact in now["facts"] if "Quentin" in fact["object"])
    assert brother["turns"] == [by_text[SAID[1][2]], by_text[SAID[2][2]]]
    marks = {(mark["person"], mark["work"]): mark["turn"] for mark in now["progress"]}
    assert marks == {("Anna", "summaries"): 1, ("Ben", "summaries"): by_text[SAID[5][2]]}
    with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        kept = index_terms(tmp_path / "new.db")
        index.rebuild(connection, rows.all_turns(connection))
        assert index_terms(tmp_path / "new.db") == kept


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)


@settings(deadline=None, max_examples=15)
@given(
    said=st.lists(
        st.tuples(
            st.sampled_from(["A", "Bé"]), TEXT, TEXT, st.floats(EARLIEST_S, LATEST_S, exclude_max=True), st.booleans()
        ),
        max_size=8,
    ),
    n_here=st.integers(0, 8),
)
def test_any_memory_comes_back_and_merges_without_doubles(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, str, str, float, bool]], n_here: int
) -> None:
    folder = tmp_path_factory.mktemp("exchange")
    with MemoryStore(folder / "all.db") as store, MemoryStore(folder / "part.db") as part:
        for number, (person, user_text, reply_text, said_at, interrupted) in enumerate(said):
            for each in (store, part) if number < n_here else (store,):
                each.commit_turn(
                    Turn(
                        conversation_id=each.open_conversation(person, "Luna"),
                        person=person,
                        character="Luna",
                        user_text=user_text,
                        reply_text=reply_text,
                        said_at=said_at,
                        interrupted=interrupted,
                    )
                )
        first = exported(store, folder / "all.json")
        import_memory(part, folder / "all.json")
        both = [
            sorted(
                (turn["person"], turn["user_text"], turn["reply_text"], turn["said_at"]) for turn in document["turns"]
            )
            for document in (json.loads(first), json.loads(exported(part, folder / "part.json")))
        ]
        assert both[0] == both[1]
    with MemoryStore(folder / "new.db") as store:
        import_memory(store, folder / "all.json")
        assert exported(store, folder / "new.json") == first


def _cut(text: str) -> str:
    return text[: len(text) * 2 // 3]


DAMAGED: dict[str, Callable[[str], str]] = {
    "cut short": _cut,
    "empty": lambda text: "",
    "not JSON": lambda text: "hello",
    "another format": lambda text: text.replace("familiar-memory", "bookmarks"),
    "a later version": lambda text: text.replace('"version": 1', '"version": 2'),
    "an array": lambda text: "[1, 2]",
    "a foreign table": lambda text: text.replace('"recalls":', '"passwords":'),
    "no such turn": lambda text: text.replace('{"turn": 1,', '{"turn": 77,'),
    "a name for a number": lambda text: text.replace('"id": 3,', '"id": "three",'),
    "no base64": lambda text: text.replace('"feelings": "AAEC', '"feelings": "??'),
    "letters no base64 has": lambda text: text.replace('"feelings": "AAEC', '"feelings": "\x80\x80'),
    "an unknown relation": lambda text: text.replace('"relation": "pet"', '"relation": "enemy"'),
    "an unknown source": lambda text: text.replace('"source": "rule"', '"source": "rumour"'),
    "a foreign member": lambda text: text.replace('"strength"', '"weakness"'),
    "something after it": lambda text: text + "[]",
    "endless brackets": lambda text: '{"format": ' + "[" * 100_000,
    "a huge number": lambda text: text.replace('"id": 1,', '"id": 99999999999999999999,'),
    "a number of four hundred digits": lambda text: text.replace('"strength": 0.5', f'"strength": 1{"0" * 400}'),
    "a time of four hundred digits": lambda text: re.sub('"felt_at": [0-9.]+', f'"felt_at": 1{"0" * 400}', text),
    "a turn of the year 30 million": lambda text: text.replace('"said_at": 17', '"said_at": 91700000000017'),
    "a number near the last of all": lambda text: text.replace(
        '"id": 4, "person', '"id": 9223372036854775807, "person'
    ),
    "a number below the first": lambda text: text.replace('"turn": 1, "n": 2', '"turn": 1, "n": -2'),
    "a list for a turn": lambda text: text.replace('"turns": [2, 3]', '"turns": [[]]'),
    "another's turn for a fact": lambda text: text.replace('"turns": [5]', '"turns": [1]'),
    "another's turn for a summary": lambda text: text.replace('"last_turn": 6', '"last_turn": 4'),
    "a summary from back to front": lambda text: text.replace(
        '"first_turn": 1, "last_turn": 2', '"first_turn": 2, "last_turn": 1'
    ),
    "an embedding of another length": lambda text: text.replace('"embedding": "PGVt', '"embedding": "AAAAPGVt', 1),
    "an empty embedding": lambda text: re.sub('"embedding": "[^"]*"', '"embedding": ""', text),
    "a fact of nobody": lambda text: text.replace('"subject": "father"', '"subject": " "'),
    "a fact of nothing": lambda text: text.replace('"object": "thunderstorms"', '"object": ""'),
    "a day of no calendar": lambda text: text.replace('"day": "04-01"', '"day": "04-31"'),
    "a day in other words": lambda text: text.replace('"day": "04-01"', '"day": "\\u001b[31m"'),
    "a fact that ended itself": lambda text: text.replace('"ended_by": null', '"ended_by": 1', 1),
    "a fact that was ended by another's": lambda text: text.replace('"ended_by": null', '"ended_by": 3', 1),
    "a fact that was ended by none": lambda text: text.replace('"ended_by": null', '"ended_by": 77', 1),
    "not a number": lambda text: text.replace('"pleasure": 0.1', '"pleasure": NaN'),
    "a record twice": lambda text: text.replace('"id": 2, "conversation"', '"id": 1, "conversation"'),
    "another's conversation": lambda text: text.replace(
        '"conversation": 1, "person": "Anna"', '"conversation": 1, "person": "Ben"'
    ),
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("into_empty", [True, False])
def test_a_file_that_is_damaged_or_foreign_changes_nothing(tmp_path: Path, damage: str, into_empty: bool) -> None:
    path = tmp_path / "in.json"
    with MemoryStore(tmp_path / "one.db") as store:
        fill(store)
        text = exported(store, path)
    damaged = DAMAGED[damage](text)
    assert damaged != text
    path.write_text(damaged)
    with MemoryStore(tmp_path / "two.db") as store:
        if not into_empty:
            remember(store, "something else", person="Zoe")
        before = exported(store, tmp_path / "before.json")
        with pytest.raises(MemoryInputError, match=r"in\.json cannot be imported, nothing of it was: ") as caught:
            import_memory(store, path)
        assert "\n" not in str(caught.value)
        assert "Schnurri" not in str(caught.value)
        assert exported(store, tmp_path / "after.json") == before


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        with pytest.raises(MemoryAccessError, match="cannot be read: No such file"):
            import_memory(store, tmp_path / "nowhere.json")
        (tmp_path / "latin.json").write_bytes(b'{"format": "\xe4"}')
        with pytest.raises(MemoryInputError, match="cannot be imported"):
            import_memory(store, tmp_path / "latin.json")
        with pytest.raises(MemoryAccessError, match=r"could not be exported to .*: No such file"):
            export(store, tmp_path / "nowhere" / "out.json")
        (tmp_path / "folder").mkdir()
        with pytest.raises(MemoryAccessError, match="could not be exported"):
            export(store, tmp_path / "folder")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "latin.json", "memory.db"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_export_that_is_broken_off_leaves_no_word_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    path = tmp_path / "out.json"
    path.write_text("older")

    def interrupted(seconds: float | None) -> str | None:
        raise interruption

    monkeypatch.setattr(exchange, "_iso", interrupted)
    with MemoryStore(tmp_path / "memory.db") as store:
        fill(store)
        with pytest.raises(interruption):
            export(store, path)
        assert sorted(each.name for each in tmp_path.iterdir() if "memory.db" not in each.name) == ["out.json"]
    assert path.read_text() == "older"


def test_nothing_is_imported_into_a_memory_that_is_in_use(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store, MemoryStore(tmp_path / "memory.db") as other:
        fill(store)
        exported(store, tmp_path / "out.json")
        with pytest.raises(MemoryBusyError, match="end the companion"):
            import_memory(store, tmp_path / "out.json")
        assert len(other.last_turns("Anna", "Luna", 9)) == 3


def test_a_large_memory_needs_little_room(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "one.db") as store:
        conversation = store.open_conversation("Anna", "Luna")

        def many(connection: sqlite3.Connection) -> None:
            values = [(conversation, 1, 1, "words " * 40, "answer " * 40, float(n), 0) for n in range(2000)]
            connection.executemany(
                "INSERT INTO turns (conversation_id, person_id, character_id, user_text, reply_text, said_at,"
                " interrupted) VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )

        store.write("fill", many)
        tracemalloc.start()
        export(store, tmp_path / "out.json")
        _, most_to_write = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (tmp_path / "out.json").stat().st_size > 1_200_000
    assert most_to_write < 600_000
    with MemoryStore(tmp_path / "two.db") as store:
        tracemalloc.start()
        assert import_memory(store, tmp_path / "out.json").turns == 2000
        _, most_to_read = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most_to_read < 1_500_000


def test_the_mark_of_a_turn_that_is_gone_does_not_hide_the_next(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with MemoryStore(tmp_path / "one.db") as store:
        remember(store, "I like cake")
        gone = remember(store, "I like pie")
        learn(store, "Anna", "Luna", UTC, 2e9)
        forget(store, Selection(turn_ids=(gone.turn_id or 0,)))
        exported(store, path)
    with MemoryStore(tmp_path / "two.db") as store:
        import_memory(store, path)
        remember(store, "I like jam")
        assert learn(store, "Anna", "Luna", UTC, 2e9) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_is_refused_or_can_be_lived_with(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "in.json"
    if not path.exists():
        with MemoryStore(tmp_path / "one.db") as store:
            fill(store)
            exported(store, tmp_path / "whole.json")
    document = json.loads((tmp_path / "whole.json").read_text())
    table = data.draw(st.sampled_from([table for table in TABLES if document[table.name]]))
    record = data.draw(st.sampled_from(document[table.name]))
    record[data.draw(st.sampled_from(sorted(record)))] = data.draw(JSON)
    path.write_text(json.dumps(document))
    with TemporaryDirectory(dir=tmp_path) as folder, MemoryStore(Path(folder) / "memory.db") as store:
        try:
            import_memory(store, path)
        except MemoryInputError:
            return
        learn(store, "Anna", "Luna", UTC, 2e9)
        tuple(steps(store, datetime(2026, 1, 1, tzinfo=UTC)))
        for fact in facts.history(store, "Anna", "Luna"):
            assert sentence(fact)
        recall(store, "Anna", "Luna", "what about the red mitten", 5)
