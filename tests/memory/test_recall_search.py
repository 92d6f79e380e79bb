"""Recall by meaning, time, speaker and mood, over a store that grows, forgets and is shared by several people."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from memory import index, rows, searching
from memory.asking import asked
from memory.forgetting import forget
from memory.meanings import store_meanings
from memory.messages import Meaning, Query, Recalled, Turn
from memory.recall import recalled
from memory.relations import SPEAKER
from memory.scoring import USUAL
from memory.selecting import Selection
from memory.store import MemoryStore
from memory.vectors import packed, packed_shares
from memory.words import query_words
from tests.memory.making import recall, remember

AT = datetime(2024, 5, 15, 12, tzinfo=UTC)
N_EMOTIONS = 28
SADNESS, JOY = 25, 17
TOPICS = ("pets", "food", "weather", "games")


def meaning(topic: str, *, aside: float = 0.0) -> bytes:
    """A direction for each topic, `aside` from it by a share of another."""
    chance = np.random.default_rng(TOPICS.index(topic))
    other = np.random.default_rng(99)
    return packed(chance.standard_normal(64) + aside * other.standard_normal(64))


def felt(*, joy: float = 0.0, sadness: float = 0.0) -> bytes:
    shares = np.zeros(N_EMOTIONS)
    shares[[JOY, SADNESS]] = joy, sadness
    return packed_shares(shares)


def describe(store: MemoryStore, turn: Turn, topic: str, *, feelings: bytes = felt(), encoder: str = "one") -> None:
    assert turn.turn_id is not None
    described = Meaning(
        turn_id=turn.turn_id, in_reply=False, embedding=meaning(topic), feelings=feelings, importance=0.3
    )
    store_meanings(store, [described], encoder)


def question(text: str, topic: str | None = None, **changes: object) -> Query:
    query = Query(text=text, at=AT, embedding=meaning(topic, aside=0.3) if topic else None, encoder="one", limit=3)
    return replace(query, **changes)  # type: ignore[arg-type]


def texts(found: Sequence[Recalled]) -> list[str]:
    return [item.text for item in found]


@pytest.fixture(name="store")
def open_store(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore(tmp_path / "memory.db") as store:
        yield store


def test_a_paraphrase_without_a_common_word_is_found_by_its_meaning(store: MemoryStore) -> None:
    told = remember(store, "Biscuit chews my slippers", "Naughty!")
    describe(store, told, "pets")
    describe(store, remember(store, "I had pancakes", "Yummy!"), "food")
    assert recall(store, "Anna", "Luna", "tell about the puppy", 3) == ()
    (found,) = store.recall("Anna", "Luna", question("tell about the puppy", "pets"))
    assert found.text == "Biscuit chews my slippers"
    assert found.why.startswith("meant alike (0.9")


def test_chit_chat_brings_nothing_back(store: MemoryStore) -> None:
    describe(store, remember(store, "Biscuit chews my slippers", "Naughty!"), "pets")
    for text, topic in (
        ("oh really, and then?", "pets"),
        ("", "pets"),
        ("Luna?", "pets"),
        ("a fine breeze", "weather"),
    ):
        assert store.recall("Anna", "Luna", question(text, topic)) == ()


def test_what_merely_shares_a_word_is_not_recalled_where_its_meaning_is_far(store: MemoryStore) -> None:
    told = remember(store, "The bark of the tree is rough")
    assert texts(store.recall("Anna", "Luna", question("dogs bark", "pets"))) == ["The bark of the tree is rough"]
    describe(store, told, "weather")
    assert store.recall("Anna", "Luna", question("dogs bark", "pets")) == ()


def test_meanings_of_another_encoder_are_ignored(store: MemoryStore) -> None:
    describe(store, remember(store, "Biscuit chews my slippers", "Naughty!"), "pets", encoder="other")
    assert store.recall("Anna", "Luna", question("tell about the puppy", "pets")) == ()
    assert store.recall("Anna", "Luna", question("tell about the puppy", "pets", encoder="other"))
    assert store.recall("Anna", "Luna", question("tell about the puppy", "pets", encoder=None))
    assert store.recall("Anna", "Luna", question("slippers", "pets", encoder="unheard of"))


def test_an_embedding_of_another_length_is_as_good_as_none(store: MemoryStore) -> None:
    describe(store, remember(store, "Biscuit chews my slippers", "Naughty!"), "pets")
    assert store.recall("Anna", "Luna", question("the puppy", embedding=packed(np.ones(32)))) == ()
    assert store.recall("Anna", "Luna", question("slippers", embedding=packed(np.ones(32))))


def test_recall_is_in_step_with_what_is_said_and_read_meanwhile(store: MemoryStore) -> None:
    describe(store, remember(store, "I had pancakes", "Yummy!"), "food")
    assert store.recall("Anna", "Luna", question("tell about the puppy", "pets")) == ()
    told = remember(store, "Biscuit chews my slippers", "Naughty!")
    assert store.recall("Anna", "Luna", question("tell about the puppy", "pets")) == ()
    describe(store, told, "pets")
    assert texts(store.recall("Anna", "Luna", question("the puppy", "pets"))) == ["Biscuit chews my slippers"]


def test_what_is_forgotten_is_not_recalled(store: MemoryStore) -> None:
    told = remember(store, "Biscuit chews my slippers", "Naughty!")
    describe(store, told, "pets")
    describe(store, remember(store, "I had pancakes", "Yummy!"), "food")
    assert store.recall("Anna", "Luna", question("the puppy", "pets"))
    assert told.turn_id is not None
    forget(store, Selection(turn_ids=(told.turn_id,)))
    assert store.recall("Anna", "Luna", question("the puppy", "pets")) == ()
    assert store.recall("Anna", "Luna", question("slippers", "pets")) == ()
    assert texts(store.recall("Anna", "Luna", question("breakfast", "food"))) == ["I had pancakes"]


def test_what_another_process_stores_is_seen(store: MemoryStore) -> None:
    told = remember(store, "I had pancakes", "Yummy!")
    describe(store, told, "food")
    assert store.recall("Anna", "Luna", question("the puppy", "pets")) == ()
    with MemoryStore(store.path) as other:
        describe(other, remember(other, "Biscuit chews my slippers", "Naughty!"), "pets")
        describe(other, told, "games")
    assert texts(store.recall("Anna", "Luna", question("the puppy", "pets"))) == ["Biscuit chews my slippers"]
    assert store.recall("Anna", "Luna", question("breakfast", "food")) == ()


def test_meanings_of_several_people_are_never_mixed(store: MemoryStore) -> None:
    for person in ("Anna", "Ben"):
        for character in ("Luna", "Rex"):
            told = remember(store, f"{person} to {character}", "Hm.", person=person, character=character)
            describe(store, told, "pets")
    for person in ("Anna", "Ben"):
        for character in ("Luna", "Rex"):
            found = store.recall(person, character, question("the puppy", "pets"))
            assert texts(found) == [f"{person} to {character}"]
    assert store.recall("Nobody", "Luna", question("the puppy", "pets")) == ()


def test_a_time_is_answered_by_what_was_said_then(store: MemoryStore) -> None:
    for days, text in ((40, "We went to the museum"), (1, "We built a rocket"), (0, "We ate soup")):
        remember(store, text, "Nice.", said_at=(AT - timedelta(days=days)).timestamp())
    (found,) = store.recall("Anna", "Luna", question("What did we do yesterday?", limit=1))
    assert found.text == "We built a rocket"
    assert found.why == "said at that time (yesterday)"
    assert {item.turn and item.turn.user_text for item in store.recall("Anna", "Luna", question("yesterday?"))} == {
        "We built a rocket"
    }
    assert store.recall("Anna", "Luna", question("What did we do last year?")) == ()


def test_a_time_of_which_only_was_told_is_found_by_its_words(store: MemoryStore) -> None:
    remember(store, "When I was little we lived in Rome", "Lovely.")
    remember(store, "I ate soup", "Nice.")
    (found,) = store.recall("Anna", "Luna", question("What did we do when I was little?"))
    assert found.text == "When I was little we lived in Rome"


def test_of_two_that_match_the_one_of_the_time_asked_about_comes_first(store: MemoryStore) -> None:
    for days in (300, 8, 0):
        remember(store, "The rocket flew", "Wow.", said_at=(AT - timedelta(days=days)).timestamp())
    found = store.recall("Anna", "Luna", question("How did the rocket fly last week?", limit=1))
    assert found[0].said_at == (AT - timedelta(days=8)).timestamp()


def test_the_words_of_whom_is_asked_about_come_first(store: MemoryStore) -> None:
    remember(store, "I like the purple dragon", "I like the purple dragon")
    mine = store.recall("Anna", "Luna", question("Which dragon do I like?", limit=1))
    yours = store.recall("Anna", "Luna", question("Which dragon do you like?", limit=1))
    assert (mine[0].in_reply, yours[0].in_reply) == (False, True)


def test_an_answer_is_found_by_the_question_it_answers(store: MemoryStore) -> None:
    remember(store, "Good morning", "What did you plant in the garden?")
    remember(store, "Pumpkins and beans", "Lovely.")
    found = store.recall("Anna", "Luna", question("garden", limit=2))
    assert texts(found) == ["What did you plant in the garden?", "Pumpkins and beans"]


def test_the_mood_of_what_is_said_brings_back_what_was_felt_alike(store: MemoryStore) -> None:
    sad = remember(store, "My dog ran away", "Oh no.")
    glad = remember(store, "My dog won a prize", "Hooray!")
    describe(store, sad, "pets", feelings=felt(sadness=0.9))
    describe(store, glad, "pets", feelings=felt(joy=0.9))
    for strategy in ("c-a", "c-m", "s-c", "s-s"):
        for now, turn in ((felt(sadness=0.8), sad), (felt(joy=0.8), glad)):
            query = question("my dog", "pets", feelings=now, strategy=strategy, limit=2)
            found = store.recall("Anna", "Luna", query)
            assert found[0].turn == turn
            assert found[0].feelings == felt(joy=0.9 * (turn is glad), sadness=0.9 * (turn is sad))
            assert "felt alike" in found[0].why
    calm = store.recall("Anna", "Luna", question("my dog", "pets", feelings=felt(sadness=0.8), strategy="none"))
    assert calm[0].turn == glad  # the newer one


def test_what_was_just_told_gives_way_to_what_was_not(store: MemoryStore) -> None:
    first = remember(store, "The kite is green", "Nice.")
    second = remember(store, "The kite is broken", "Oh.")
    assert recall(store, "Anna", "Luna", "kite", 1)[0].turn == second
    assert second.turn_id is not None
    query = question("kite", limit=1)
    recalled(store, [second.turn_id], (AT - timedelta(minutes=1)).timestamp())
    assert store.recall("Anna", "Luna", query)[0].turn == first
    later = replace(query, at=AT + timedelta(hours=5))
    assert store.recall("Anna", "Luna", later)[0].turn == second
    recalled(store, [second.turn_id, 999], (AT + timedelta(hours=5)).timestamp())
    recalled(store, [], 0.0)
    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("SELECT turn_id, n FROM recalls").fetchall() == [(second.turn_id, 2)]


def test_facts_come_before_the_turns_they_are_from_and_only_while_they_hold(store: MemoryStore) -> None:
    told = remember(store, "My dog is called Biscuit", "Hello Biscuit!")
    moved = remember(store, "I live in Lisbon with my dog", "Nice.")
    later = remember(store, "We have moved to Porto", "Oh!")
    _add_facts(store, [(told, "pet", "dog called Biscuit", None), (moved, "lives_in", "Lisbon", 1.0)])
    _add_facts(store, [(later, "lives_in", "Porto", None)])
    found = store.recall("Anna", "Luna", question("my dog", limit=4))
    assert [item.kind for item in found][:1] == ["fact"]
    assert found[0].text == "Your dog is called Biscuit."
    assert "You live in Lisbon." not in texts(found)
    found = store.recall("Anna", "Luna", question("do I live in Lisbon", limit=4))
    assert "You live in Lisbon." not in texts(found)
    facts = [item for item in found if item.kind == "fact"]
    assert all(item.turn is None and item.why for item in facts)


def test_the_summary_of_an_episode_is_told_where_much_of_it_is_found(store: MemoryStore) -> None:
    turns = [remember(store, f"Volcano number {n} is big", "I see.") for n in range(4)]
    with closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO summaries (person_id, character_id, first_turn_id, last_turn_id, text, made_at) "
            "VALUES (1, 1, ?, ?, 'All about volcanoes', 5.0)",
            (turns[0].turn_id, turns[-1].turn_id),
        )
    found = store.recall("Anna", "Luna", question("volcano", limit=6))
    assert [item.kind for item in found] == ["turn", "turn", "turn", "turn", "summary"]
    assert found[-1].text == "All about volcanoes"
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
    assert "summary" not in [item.kind for item in store.recall("Anna", "Luna", question("volcano", limit=2))]


def _add_facts(store: MemoryStore, facts: Sequence[tuple[Turn, str, str, float | None]]) -> None:
    with closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        for turn, relation, thing, valid_to in facts:
            fact_id = connection.execute(
                """INSERT INTO facts
                (person_id, character_id, subject, relation, object, valid_to, recorded_from, source)
                VALUES (1, 1, ?, ?, ?, ?, 0.0, 'rule')""",
                (SPEAKER, relation, thing, valid_to),
            ).lastrowid
            connection.execute("INSERT INTO fact_turns VALUES (?, ?)", (fact_id, turn.turn_id))


def _many(store: MemoryStore, pair: tuple[str, str], said: Sequence[tuple[str, str]]) -> None:
    """Turns in one transaction: a sync for each would take most of the test's time."""
    conversation_id = store.open_conversation(*pair)

    def work(connection: sqlite3.Connection) -> None:
        ids = rows.ensure_pair(connection, *pair)
        for number, (words, reply) in enumerate(said):
            turn = Turn(
                conversation_id=conversation_id,
                person=pair[0],
                character=pair[1],
                user_text=words,
                reply_text=reply,
                said_at=1e9 + number,
            )
            rows.add_turn(connection, ids, turn)

    store.write("store many turns", work)


def test_somebody_who_said_little_is_remembered_beside_somebody_who_said_much(tmp_path: Path) -> None:
    said = [("The zebra sleeps", "Where?"), ("In the purple barn", "Good."), ("Good night", "Sleep well.")]
    asked_for = ["where does the zebra sleep", "purple barn", "night"]
    with MemoryStore(tmp_path / "alone.db") as alone, MemoryStore(tmp_path / "crowd.db") as crowd:
        _many(alone, ("Ben", "Luna"), said)
        _many(crowd, ("Anna", "Luna"), [("A zebra in the purple barn at night", "A zebra?")] * 600)
        _many(crowd, ("Ben", "Luna"), said)
        _many(crowd, ("Anna", "Luna"), [("Is the zebra in the purple barn at night?", "Purple zebra.")] * 600)
        for text in asked_for:
            by_itself = recall(alone, "Ben", "Luna", text, 3)
            among_others = recall(crowd, "Ben", "Luna", text, 3)
            assert texts(by_itself) == texts(among_others) != []
            assert [item.score for item in by_itself] == pytest.approx([item.score for item in among_others])


def test_a_common_word_is_looked_for_next_to_a_rare_one_however_old(store: MemoryStore) -> None:
    _many(store, ("Anna", "Luna"), [("The rhubarb stood by the school", "Hm.")])
    _many(store, ("Anna", "Luna"), [("We went to school", "And then?")] * 1200)
    (words,) = [query_words("rhubarb school")]
    with closing(sqlite3.connect(store.path)) as connection:
        rare, common = index.said_in(connection, words, person="Anna", share=1.0, newest_id=10_000)
    assert rare.is_all
    assert not common.is_all
    assert 2 in common.ids
    assert len(common.ids) <= 1001
    (found,) = recall(store, "Anna", "Luna", "rhubarb school", 1)
    assert found.why == "rhubarb, school: around what Anna said"


def test_whatever_is_asked_only_so_many_utterances_are_looked_at(store: MemoryStore) -> None:
    _many(store, ("Anna", "Luna"), [(f"school number {n}", "to school") for n in range(800)])
    query = question("school to number", limit=5)
    with closing(sqlite3.connect(store.path)) as connection:
        mirror = store.mirrors.of(connection, (1, 1), None)
        scope = searching.Scope(mirror=mirror, n=len(mirror.ids), names=("Anna", "Luna"), share=1.0)
        found = searching.find(connection, query, asked(query.text, scope.names, AT), scope, USUAL)
    assert len(found.at) == searching.SHORTLIST
    assert len(store.recall("Anna", "Luna", query)) == 5


def test_with_the_gate_open_there_is_as_much_as_is_asked_for(store: MemoryStore) -> None:
    for n in range(5):
        describe(store, remember(store, f"Pancake number {n}", "Yummy!"), "food")
    query = question("quite something else", "games", limit=4)
    assert store.recall("Anna", "Luna", query) == ()
    found = store.recall("Anna", "Luna", replace(query, gate=False))
    assert len(found) == 4
    assert all(item.why for item in found)


def test_a_turn_without_words_brings_nothing_back(store: MemoryStore) -> None:
    remember(store, "", "")
    assert store.recall("Anna", "Luna", question("slippers", "pets", gate=False)) == ()


def test_a_mirror_is_small(store: MemoryStore) -> None:
    _many(store, ("Anna", "Luna"), [("We went to school", "And then?")] * 3000)
    embedding = meaning("pets") * 6
    described = [
        Meaning(turn_id=n // 2 + 1, in_reply=bool(n % 2), embedding=embedding, feelings=felt(), importance=0.2)
        for n in range(6000)
    ]
    store_meanings(store, described, "one")
    with closing(sqlite3.connect(store.path)) as connection:
        mirror = store.mirrors.of(connection, (1, 1), 1)
    assert mirror.signs is not None
    assert mirror.signs.n_known == 6000
    n_bytes = mirror.signs.n_bytes + sum(each.nbytes for each in (mirror.ids, mirror.said_at, mirror.is_question))
    assert n_bytes < 200 * 3000
    assert json.dumps(mirror.ids[:2].tolist()) == "[2, 3]"
