"""What is forgotten is gone: from every table, from the index, and from every byte of the files."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import database, facts, index, rows
from memory.errors import MemoryBusyError, MemoryInputError
from memory.forgetting import (
    Forgotten,
    containing,
    forget,
    forget_newest,
    is_wiping_due,
    n_forgettings,
    preview,
    remove_copies,
    still_there,
    wipe,
)
from memory.messages import Fact
from memory.selecting import Selection
from memory.store import MemoryStore
from tests.memory.filling import HOUR_S, STARTED_AT, all_bytes, contents, embedding_of, fill
from tests.memory.making import index_terms, recall, remember

REPOSITORY = Path(__file__).parents[2]

# For each selection: what of the filled memory must be found nowhere afterwards, and what must still be there. Words
# are looked for as they were said, and as the stemmed terms of the index.
CASES = {
    "a turn": (
        Selection(turn_ids=(1,)),
        Forgotten(turns=1, facts=1, summaries=1, pairs=(("Anna", "Luna"),)),
        (b"mitten", b"kitten", b"sparkl", embedding_of(2), embedding_of(3)),
        (b"zanzibar", b"brother called quentin", embedding_of(4), b"schnurri"),
    ),
    "words": (
        Selection(words=("XYLOPHONE",)),
        Forgotten(turns=2, facts=0, pairs=(("Anna", "Luna"), ("Anna", "Rex"))),
        (b"xylophon", b"woof", embedding_of(6), embedding_of(7), embedding_of(8)),
        (b"brother called quentin", b"mitten", b"luna", b"anna"),
    ),
    "words of one character": (
        Selection(words=("found the lost xylophones", "toast", "Quentin lost"), character="Luna"),
        Forgotten(turns=2, summaries=1, pairs=(("Anna", "Luna"), ("Ben", "Luna"))),
        (b"lost his", b"toast", b"marmalad"),
        (b"the xylophones were found", b"thunderstorm"),
    ),
    "words of a fact alone": (
        Selection(words=("rhubarb",)),
        Forgotten(facts=1, pairs=(("Ben", "Luna"),)),
        (b"rhubarb", b"compote"),
        (b"marmalad", b"afraid"),
    ),
    "a fact": (
        Selection(fact_ids=(1,)),
        Forgotten(facts=1, pairs=(("Anna", "Luna"),)),
        (b"kitten called", b"kitten called schnurri"),
        (b"mitten", b"brother called quentin"),
    ),
    "a time": (
        Selection(since=STARTED_AT + 0.5 * HOUR_S, until=STARTED_AT + 2.5 * HOUR_S),
        Forgotten(turns=2, facts=1, summaries=1, stimuli=1, pairs=(("Anna", "Luna"),)),
        (b"zanzibar", b"flying", b"journey", b"lost his", b"darkness", b"quentin", embedding_of(5)),
        (b"mitten", b"kitten called", b"tickled", b"xylophones were found"),
    ),
    "a person": (
        Selection(person="Anna"),
        Forgotten(turns=4, facts=2, summaries=1, stimuli=1, pairs=(("Anna", "Luna"), ("Anna", "Rex"))),
        (b"anna", b"rex", b"mitten", b"xylophon", b"schnurri", b"quentin", b"tickled", embedding_of(9)),
        (b"ben", b"luna", b"marmalad", b"rhubarb", b"darkness", embedding_of(10)),
    ),
    "a character": (
        Selection(character="Luna"),
        Forgotten(turns=5, facts=4, summaries=2, stimuli=2, moods=1, pairs=(("Anna", "Luna"), ("Ben", "Luna"))),
        (b"luna", b"ben", b"mitten", b"rhubarb", b"darkness", b"zanzibar", embedding_of(2)),
        (b"anna", b"rex", b"xylophones were found", embedding_of(8)),
    ),
    "everything": (
        Selection(everything=True),
        Forgotten(
            turns=6,
            facts=4,
            summaries=2,
            stimuli=2,
            moods=1,
            pairs=(("Anna", "Luna"), ("Anna", "Rex"), ("Ben", "Luna")),
        ),
        (b"anna", b"ben", b"luna", b"rex", b"mitten", b"xylophon", b"rhubarb", b"tickled", b"<embedding"),
        (),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_no_byte_of_the_files_tells_what_was_forgotten(tmp_path: Path, case: str) -> None:
    selection, expected, gone, kept = CASES[case]
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        fill(store)
        before = all_bytes(tmp_path)
        assert [word for word in (*gone, *kept) if word not in before] == []
        assert preview(store, selection) == expected
        assert forget(store, selection) == expected
        assert is_wiping_due(store)
        wipe(store)
        assert not is_wiping_due(store)
        assert preview(store, selection).turns == 0
    after = all_bytes(tmp_path)
    assert [word for word in gone if word in after] == []
    assert [word for word in kept if word not in after] == []
    terms = {term for term, *_ in index_terms(path)}
    assert not [word for word in gone if word.decode(errors="replace") in terms]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        kept_terms = index_terms(path)
        index.rebuild(connection, rows.all_turns(connection))
        assert index_terms(path) == kept_terms, "the index is the one that the turns left would make"


def test_samples_of_the_planner_are_wiped_too(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        fill(store)
        store.read("analyse", lambda connection: connection.execute("ANALYZE").fetchall())
        forget(store, Selection(person="Anna"))
        wipe(store)
    assert b"anna" not in all_bytes(tmp_path)


def test_forgetting_the_newest_turn_is_what_forget_that_means(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        fill(store)
        assert forget_newest(store, "Anna", "Luna").turns == 1
        assert [turn.turn_id for turn in store.last_turns("Anna", "Luna", 9)] == [1, 2]
        assert forget_newest(store, "Nobody", "Luna").is_nothing
        assert recall(store, "Anna", "Luna", "xylophones", 5) == ()
        assert len(store.last_turns("Anna", "Rex", 9)) == 1


def test_a_conversation_goes_on_after_everything_was_forgotten(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        conversation = store.open_conversation("Anna", "Luna")
        remember(store, "a secret", conversation_id=conversation)
        forget(store, Selection(everything=True))
        turn = remember(store, "hello again", conversation_id=conversation)
        assert store.last_turns("Anna", "Luna", 9) == (turn,)
        assert turn.turn_id == 2, "the number of a forgotten turn is never given again"


def test_forgetting_is_counted_for_whoever_holds_words_in_ram(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store, MemoryStore(tmp_path / "memory.db") as other:
        fill(store)
        assert n_forgettings(other) == 0
        assert forget(store, Selection(words=("nobody said this",))).is_nothing
        assert n_forgettings(other) == 0
        forget(store, Selection(turn_ids=(1,)))
        assert n_forgettings(other) == 1
        wipe(other)
        assert n_forgettings(store) == 1


@pytest.mark.parametrize("phrase", ['"', "a OR *", "NEAR(", "né\0", "body : x", "恐龙"])
def test_words_are_words_and_not_a_language_of_queries(tmp_path: Path, phrase: str) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        fill(store)
        remember(store, "Ich mag 恐龙 sehr")
        if any(letter.isalnum() for letter in phrase):
            assert forget(store, Selection(words=(phrase,))).turns == int(phrase == "恐龙")
        else:
            with pytest.raises(MemoryInputError, match="there is no word in"):
                forget(store, Selection(words=(phrase,)))


def test_nothing_named_is_nothing_forgotten(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        fill(store)
        with pytest.raises(MemoryInputError, match="nothing is named"):
            forget(store, Selection())
        assert forget(store, Selection(person="Zoe")).is_nothing
        assert not is_wiping_due(store)


def test_what_a_forgotten_fact_had_ended_holds_again(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        for said in ("I have a cat", "My cat is called Schnurri", "I live in Ulm", "I moved to Bonn", "I like cats"):
            remember(store, said)
        learned = (
            (1, "pet", "cat"),
            (2, "pet", "cat called Schnurri"),
            (3, "lives_in", "Ulm"),
            (4, "lives_in", "Bonn"),
        )
        for turn_id, relation, what in learned:
            fact = Fact(subject="speaker", relation=relation, object=what, recorded_from=0.0, turn_ids=(turn_id,))
            facts.record(store, "Anna", "Luna", [fact], at=100.0 + turn_id)
        assert [fact.object for fact in facts.current(store, "Anna", "Luna")] == ["cat called Schnurri", "Bonn"]
        forget(store, Selection(turn_ids=(2, 4)))
        assert [fact.object for fact in facts.current(store, "Anna", "Luna")] == ["cat", "Ulm"]
        assert len(facts.history(store, "Anna", "Luna")) == 2
        wipe(store)
    found = all_bytes(tmp_path)
    assert not [word for word in (b"schnurri", b"bonn") if word in found]


@settings(deadline=None, max_examples=10)
@given(gone=st.lists(st.sets(st.integers(1, 12), max_size=5), max_size=4))
def test_what_is_left_is_what_would_be_there_had_it_never_been_said(
    tmp_path_factory: pytest.TempPathFactory, gone: list[set[int]]
) -> None:
    path = tmp_path_factory.mktemp("forget") / "memory.db"
    with MemoryStore(path) as store:
        for n in range(1, 13):
            remember(store, f"word{n} said", f"reply{n}" if n % 3 else "", person="AB"[n % 2])
        for turn_ids in gone:
            if turn_ids:
                forget(store, Selection(turn_ids=tuple(turn_ids)))
    kept = index_terms(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        index.rebuild(connection, rows.all_turns(connection))
    assert index_terms(path) == kept


def test_it_works_beside_a_companion_that_has_the_memory_open(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        fill(store)
    with _Companion(path) as companion:
        with MemoryStore(path) as store:
            forget(store, Selection(person="Anna"))
            wipe(store)
            assert b"xylophon" not in all_bytes(tmp_path)
            assert not store.read("look", database.is_alone)
        assert companion.poll() is None
    with MemoryStore(path) as store:
        assert store.read("look", database.is_alone)


def test_where_somebody_reads_wiping_is_made_up_for_at_the_next_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as reader:
        fill(store)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM turns").fetchall()
        forget(store, Selection(person="Anna"))
        with pytest.raises(MemoryBusyError):
            wipe(store)
        assert is_wiping_due(store)
        with MemoryStore(path) as another:
            assert is_wiping_due(another), "opening does not fail for it"
        reader.execute("ROLLBACK")
    with MemoryStore(path) as store:
        assert not is_wiping_due(store)
        assert b"xylophon" not in all_bytes(tmp_path)


_FORGETTER = """
import sys
from pathlib import Path
from memory.forgetting import forget, wipe
from memory.selecting import Selection
from memory.store import MemoryStore
with MemoryStore(Path(sys.argv[1])) as store:
    print("ready", flush=True)
    forget(store, Selection(person="Anna"))
    wipe(store)
    print("done", flush=True)
"""


def test_kill_9_while_forgetting_leaves_all_or_nothing_and_the_next_start_completes_it(tmp_path: Path) -> None:
    template = tmp_path / "template"
    with MemoryStore(template / "memory.db") as store:
        fill(store)
        for n in range(150):
            remember(store, f"xylophones {n} " + "word " * 50, "zanzibar " * 20)
    whole = contents(template / "memory.db")
    chance = random.Random(3)
    outcomes = set()
    deadline = time.monotonic() + 2.5
    for number in range(25):
        if time.monotonic() > deadline:
            break
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "memory.db"
        path.write_bytes((template / "memory.db").read_bytes())
        command = [sys.executable, "-c", _FORGETTER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.0, 0.03))  # not for anything to happen: the kill is to fall anywhere
            process.send_signal(signal.SIGKILL)
        with MemoryStore(path) as store:  # completes what was begun
            assert not is_wiping_due(store)
        now = contents(path)
        is_forgotten = not any("xylophones" in str(row) for row in now["turns"])
        outcomes.add(is_forgotten)
        if is_forgotten:
            found = all_bytes(folder)
            assert not [word for word in (b"xylophon", b"zanzibar", b"anna") if word in found]
            assert len(now["turns"]) == 2
        else:
            assert now == whole
    assert outcomes


def test_copies_beside_the_memory_are_named_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        fill(store)
    aside = tmp_path / "memory.corrupt-20260101T000000.000000Z.db"
    names = [aside.name, f"{aside.name}-wal", "memory.db.converting"]
    for name in names:
        (tmp_path / name).write_bytes(b"xylophones")
    (tmp_path / "other.corrupt-1.db").write_bytes(b"somebody else's")
    assert [copy.name for copy in database.copies_of(path)] == names
    assert [copy.name for copy in remove_copies(path)] == names
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["memory.db", "other.corrupt-1.db"]


def test_the_turns_that_are_still_there_are_told(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        turn_ids = [turn.turn_id for turn in (remember(store, "One."), remember(store, "Two."))]
        forget(store, Selection(words=("one",)))
        assert still_there(store, [each for each in turn_ids if each is not None]) == {turn_ids[1]}
        assert still_there(store, ()) == frozenset()


def test_texts_outside_of_the_memory_are_found_as_those_within() -> None:
    texts = ["My hamsters are ill.", "A ham.", "HAMSTER!"]
    assert containing("hamster", texts) == {0, 2}
    assert containing("ill hamster", texts) == {0}
    assert containing("?!", texts) == frozenset()
    assert containing("hamster", []) == frozenset()


class _Companion:
    """Another program that has the memory open, as a companion that talks has."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> subprocess.Popen[str]:
        code = (
            "import sys; from pathlib import Path; from memory.store import MemoryStore\n"
            "store = MemoryStore(Path(sys.argv[1])); store.last_turns('Anna', 'Luna', 9); print('open', flush=True)\n"
            "sys.stdin.read()"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, str(self._path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "open\n"
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
