"""Turns are kept verbatim, in order, and apart from each other's people and characters."""

import math
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import index, rows
from memory.errors import MemoryInputError
from memory.messages import Turn
from memory.store import MemoryStore
from tests.memory.making import index_terms, recall, remember


def test_turns_survive_reopening_verbatim_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    said = [
        Turn(
            conversation_id=1,
            person="Anna",
            character="Luna",
            user_text=text,
            reply_text=reply,
            said_at=at,
            interrupted=cut,
        )
        for text, reply, at, cut in [
            ("Hello!\n  How are you? ", "Fine…", 10.25, False),
            ("", "I spoke first\x00 here", 5.0, True),
            ("恐龙 🦕 e\u0301", "", 1e10, False),
        ]
    ]
    with MemoryStore(path) as store:
        assert store.open_conversation("Anna", "Luna") == 1
        committed = tuple(store.commit_turn(turn) for turn in said)
    assert [replace(turn, turn_id=None) for turn in committed] == said
    with MemoryStore(path) as store:
        assert store.last_turns("Anna", "Luna", 10) == committed
        assert store.last_turns("Anna", "Luna", 2) == committed[1:]
        assert store.last_turns("Anna", "Luna", 0) == ()
        assert store.notice is None


def test_the_next_start_goes_on_with_the_pairs_own_conversation(tmp_path: Path) -> None:
    pairs = [("Anna", "Luna"), ("Anna", "Rex"), ("Ben", "Luna")]
    with MemoryStore(tmp_path / "memory.db") as store:
        first = [store.open_conversation(*pair) for pair in pairs]
        assert len(set(first)) == len(pairs)
    with MemoryStore(tmp_path / "memory.db") as store:
        assert [store.open_conversation(*pair) for pair in pairs] == first


def test_last_turns_follow_commits_not_the_clock(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        remember(store, "one", said_at=2e9)
        remember(store, "two", said_at=0.0)
        remember(store, "three", said_at=1e9)
        assert [turn.user_text for turn in store.last_turns("Anna", "Luna", 9)] == ["one", "two", "three"]


def test_people_and_characters_are_never_mixed(tmp_path: Path) -> None:
    pairs = [(person, character) for person in ("Anna", "Ben", "anna") for character in ("Luna", "Rex")]
    with MemoryStore(tmp_path / "memory.db") as store:
        for person, character in pairs:
            remember(store, f"the secret dragon of {person}", f"says {character}", person=person, character=character)
        for person, character in pairs:
            expected = f"the secret dragon of {person}"
            seen = store.last_turns(person, character, 9)
            found = tuple(each.turn for each in recall(store, person, character, "secret dragon", 9))
            assert [(turn.user_text, turn.character) for turn in seen] == [(expected, character)]
            assert found == seen
        assert store.last_turns("Nobody", "Luna", 9) == ()
        assert recall(store, "Nobody", "Luna", "secret dragon", 9) == ()


def test_a_turn_cannot_be_put_into_another_pairs_conversation(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        mine = store.open_conversation("Anna", "Luna")
        store.open_conversation("Ben", "Luna")
        for person, conversation in (("Ben", mine), ("Anna", 999)):
            with pytest.raises(MemoryInputError, match=r"store a turn in .*memory\.db"):
                remember(store, "mine", person=person, conversation_id=conversation)
        assert store.last_turns("Anna", "Luna", 9) == store.last_turns("Ben", "Luna", 9) == ()
        assert remember(store, "mine").turn_id == 1


def test_what_cannot_be_stored_is_refused_and_the_store_goes_on(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        committed = remember(store, "hello")
        with pytest.raises(MemoryInputError, match="committed already"):
            store.commit_turn(committed)
        with pytest.raises(MemoryInputError, match="no name"):
            store.open_conversation("Anna", " ")
        for moment in (math.nan, math.inf, 1e15, -1e15):
            with pytest.raises(MemoryInputError, match="since 1970"):
                remember(store, "when?", said_at=moment)
        assert remember(store, "lone \ud800 surrogate").user_text == "lone \ufffd surrogate"
        assert len(store.last_turns("Anna", "Luna", 9)) == 2
        assert remember(store, "who am I?", "You?", person="\ud800").person == "\ufffd"
        assert len(store.last_turns("\ud800", "Luna", 9)) == 1


def test_file_and_directory_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "memory.db"
    with MemoryStore(path) as store:
        remember(store, "a secret")
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        files = sorted(path.parent.iterdir())
        assert [file.name for file in files] == ["memory.db", "memory.db-shm", "memory.db-wal"]
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


_TEXT = st.sampled_from(["", "dragons", "the dog barks", "恐龙 barks", "dog dog", "\x00 -- '"])


@settings(deadline=None, max_examples=25)
@given(turns=st.lists(st.tuples(st.integers(0, 2), _TEXT, _TEXT), max_size=12))
def test_the_index_kept_turn_by_turn_is_the_index_rebuilt_from_the_turns(
    tmp_path_factory: pytest.TempPathFactory, turns: list[tuple[int, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("index") / "memory.db"
    with MemoryStore(path) as store:
        for person, user_text, reply_text in turns:
            remember(store, user_text, reply_text, person=f"P{person}")
    kept = index_terms(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        index.rebuild(connection, rows.all_turns(connection))
    assert index_terms(path) == kept
