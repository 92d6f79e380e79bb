"""A mood survives a restart, one for each character; what the body felt is kept in order; forgotten names stay gone."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from memory.errors import MemoryInputError
from memory.messages import Stimulus
from memory.moods import Mood, last_stimuli, load_mood, save_mood
from memory.store import MemoryStore
from tests.memory.making import remember

CALM = Mood(
    pleasure=0.25,
    arousal=-0.5,
    dominance=0.125,
    emotion_pleasure=-0.75,
    emotion_arousal=0.0,
    emotion_dominance=1.0,
    felt_at=1_700_000_000.5,
)


def test_a_mood_survives_and_the_newest_counts(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        assert load_mood(store, "Luna") is None
        save_mood(store, "Luna", replace(CALM, pleasure=-1.0))
        save_mood(store, "Luna", CALM)
        save_mood(store, "Rex", replace(CALM, arousal=1.0))
    with MemoryStore(path) as store:
        assert load_mood(store, "Luna") == CALM
        assert load_mood(store, "Rex") == replace(CALM, arousal=1.0)
        assert load_mood(store, "luna") is None


def test_stimuli_are_kept_in_order_with_who_was_there(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    felt = [Stimulus(kind=kind, strength=0.5, happened_at=at) for kind, at in (("touched", 20.0), ("dark", 10.0))]
    with MemoryStore(path) as store:
        remember(store, "Hello", person="Anna", character="Luna")
        save_mood(store, "Luna", CALM, felt[:1], person="Anna")
        save_mood(store, "Luna", CALM, felt[1:], person="Somebody else")
        assert last_stimuli(store, "Luna", 10) == tuple(felt)
        assert last_stimuli(store, "Luna", 1) == tuple(felt[1:])
        assert last_stimuli(store, "Luna", -1) == last_stimuli(store, "Rex", 10) == ()
    with closing(sqlite3.connect(path)) as connection:
        with_whom = "SELECT people.name FROM stimuli LEFT JOIN people ON people.id = person_id ORDER BY stimuli.id"
        assert connection.execute(with_whom).fetchall() == [("Anna",), (None,)]
        assert connection.execute("SELECT name FROM people").fetchall() == [("Anna",)], "nobody is made known by this"


def test_what_cannot_be_kept_is_refused_as_a_whole(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        bad = Stimulus(kind="dark", strength=float("nan"), happened_at=0.0)
        for character, mood, stimuli in (
            (" ", CALM, ()),
            ("Luna", replace(CALM, felt_at=float("inf")), ()),
            ("Luna", CALM, (bad,)),
        ):
            with pytest.raises(MemoryInputError, match="a mood needs"):
                save_mood(store, character, mood, stimuli)
        assert load_mood(store, "Luna") is None


def test_names_that_no_file_can_hold_do_no_harm(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        save_mood(store, "Lu\ud800na", CALM, [Stimulus(kind="dark\ud800", strength=1.0, happened_at=1.0)], "A\ud800")
        assert load_mood(store, "Lu\ud800na") == CALM
        assert last_stimuli(store, "Lu\ud800na", 1)[0].kind == "dark\ufffd"
