"""What a language model's reading of turns may add to what is known: little, and only in the person's own words."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import facts
from memory.extraction import MAX_TURNS, Batch, accepted, finish, messages, next_batch, schema
from memory.messages import Fact, Turn
from memory.store import MemoryStore
from tests.memory.making import remember


def _turn(text: str, turn_id: int = 1) -> Turn:
    return Turn(
        turn_id=turn_id,
        conversation_id=1,
        person="Anna",
        character="Luna",
        user_text=text,
        reply_text="I love snakes!",
        said_at=5.0,
    )


def _answer(*found: tuple[int, str, str]) -> str:
    return json.dumps({"facts": [{"line": line, "relation": rel, "object": thing} for line, rel, thing in found]})


def _kept(text: str, relation: str, thing: str) -> list[tuple[str, str]]:
    return [(fact.relation, fact.object) for fact in accepted(_answer((1, relation, thing)), (_turn(text),))]


def test_what_stands_in_the_turn_is_believed_as_it_was_said() -> None:
    (fact,) = accepted(
        _answer((2, "likes", "apple pie")), (_turn("hello you"), _turn("We always eat Apple  Pie at home.", 9))
    )
    assert (fact.relation, fact.object, fact.turn_ids, fact.source) == ("likes", "Apple Pie", (9,), "model")
    assert fact.valid_from == 5.0


@pytest.mark.parametrize(
    ("text", "relation", "thing"),
    [
        ("we always eat pancakes", "likes", "waffles"),
        ("we always eat pancakes", "likes", "cake"),
        ("I love snakes is what you said", "likes", "I"),
        ("we never eat pancakes", "likes", "pancakes"),
        ("i can't have peanuts", "likes", "peanuts"),
        ("do we eat pancakes today?", "likes", "pancakes"),
        ("let's pretend we live in Rome", "lives_in", "Rome"),
        ("if we had a dog it would be nice", "pet", "dog"),
        ("tom says we eat snails", "likes", "snails"),
        ("she eats pancakes every day", "likes", "pancakes"),
        ("our house has a garden", "pet", "garden"),
        ("our house has a garden", "owns", "garden"),
        ("we saw them at the lake", "likes", "them"),
        ("", "likes", ""),
    ],
)
def test_what_was_not_said_as_so_is_not_believed(text: str, relation: str, thing: str) -> None:
    assert _kept(text, relation, thing) == []


def test_a_kind_is_asked_of_pets_people_and_toys() -> None:
    assert _kept("our parrot screams all day", "pet", "parrot") == [("pet", "parrot")]
    assert _kept("our parrot screams all day", "people", "parrot") == []


def test_what_is_known_is_not_found_again() -> None:
    turn = _turn("we eat pancakes with our dog rex")
    known = Fact(subject="speaker", relation="pet", object="dog called Rex", recorded_from=5.0, turn_ids=(1,))
    answer = _answer((1, "pet", "dog"), (1, "likes", "pancakes"), (1, "likes", "Pancakes"), (1, "wants", "pancakes"))
    assert [fact.object for fact in accepted(answer, (turn,), [known])] == ["pancakes"]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no facts",
        "[]",
        "null",
        '{"facts": 3}',
        '{"facts": ["likes"]}',
        '{"facts":[{"line":1,"relation":"likes","object":"pan',
        '{"facts":[{"line":"1","relation":"likes","object":"pancakes"}]}',
        '{"facts":[{"line":7,"relation":"likes","object":"pancakes"}]}',
        "[" * 100_000,
    ],
)
def test_an_answer_of_another_form_gives_nothing(answer: str) -> None:
    assert accepted(answer, (_turn("we always eat pancakes"),)) == ()


@settings(deadline=None, max_examples=80)
@given(
    text=st.text(max_size=60),
    thing=st.text(max_size=30),
    line=st.integers(-3, 5),
    relation=st.sampled_from(["likes", "pet", "x"]),
)
def test_any_answer_and_any_text_are_taken(text: str, thing: str, line: int, relation: str) -> None:
    for fact in accepted(_answer((line, relation, thing)), (_turn(text),)):
        assert fact.turn_ids == (1,)


def test_the_prompt_shows_the_persons_words_alone_each_on_its_line(tmp_path: Path) -> None:
    batch = Batch(
        person="Anna", character="Luna", turns=(_turn("we eat\n2. fake line"), _turn("x" * 900, 2)), last_turn_id=2
    )
    roles = [role for role, _ in messages(batch)]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    lines = messages(batch)[-1][1].split("\n")
    assert lines[0] == "1. we eat 2. fake line"
    assert len(lines) == 2
    assert len(lines[1]) <= 310
    assert "snakes" not in str(messages(batch))
    properties = schema(batch)["properties"]["facts"]["items"]["properties"]
    assert properties["line"] == {"enum": [1, 2]}


def test_the_schema_is_a_grammar_of_valid_answers() -> None:
    grammar = pytest.importorskip("llama_cpp.llama_grammar")
    assert "root ::=" in grammar.json_schema_to_gbnf(
        json.dumps(schema(Batch(person="Anna", character="Luna", turns=(_turn("we eat pancakes"),), last_turn_id=1)))
    )


def test_every_turn_is_read_once_in_order(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        assert next_batch(store, "Anna", "Luna") is None
        texts = ["yes", *(f"we eat number {n} today" for n in range(MAX_TURNS + 1)), "no"]
        for text in texts:
            remember(store, text)
        remember(store, "we eat snails every day", person="Ben")
        read = []
        while (batch := next_batch(store, "Anna", "Luna")) is not None:
            assert next_batch(store, "Anna", "Luna") == batch  # until it is finished, it is the next one
            read += [turn.user_text for turn in batch.turns]
            finish(store, batch, accepted(_answer((1, "likes", "number 0")), batch.turns), 9.0)
        assert read == texts[1:-1]
        (fact,) = facts.current(store, "Anna", "Luna")
        assert (fact.object, fact.source, fact.recorded_from) == ("number 0", "model", 9.0)


def test_a_batch_that_is_short_throughout_asks_nothing(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        remember(store, "hello")
        batch = next_batch(store, "Anna", "Luna")
        assert batch is not None
        assert batch.turns == ()
        finish(store, batch, (), 1.0)
        assert next_batch(store, "Anna", "Luna") is None


def test_a_turn_of_no_time_is_passed_over(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        remember(store, "we eat snails every day")
        store.write("break", lambda connection: connection.execute("UPDATE turns SET said_at = 1e15"))
        remember(store, "we eat cake every day")
        batch = next_batch(store, "Anna", "Luna")
        assert batch is not None
        assert [turn.user_text for turn in batch.turns] == ["we eat cake every day"]
