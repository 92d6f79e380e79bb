"""Recall finds the right old turn, says why, and keeps silent when nothing is worth saying."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.store import MemoryStore
from tests.memory.making import recall, remember

_TALK = [
    ("Can we play football tomorrow?", "If it does not rain, gladly."),
    ("I had pancakes for breakfast.", "With maple syrup, I hope?"),
    ("Grandma lives in Lisbon, right by the sea.", "How lovely! Does she swim?"),
    ("My dog is called Biscuit and he is afraid of thunder.", "Poor Biscuit, thunder is loud."),
    ("We learned about volcanoes at school.", "Did yours erupt?"),
    ("Yes, lava everywhere!", "Vinegar and baking soda, I suppose."),
    ("I lost my red mitten.", "Look under the sofa."),
    ("Good night!", "Sleep well."),
]


@pytest.fixture(name="store")
def store_with_talk(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore(tmp_path / "memory.db") as store:
        for user_text, reply_text in _TALK:
            remember(store, user_text, reply_text)
        yield store


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("What's my dog's name?", "My dog is called Biscuit and he is afraid of thunder."),
        ("where does my grandmother, I mean grandma, live?", "Grandma lives in Lisbon, right by the sea."),
        ("have you seen my mittens", "I lost my red mitten."),
        ("What did we do with vinegar?", "Yes, lava everywhere!"),
        ("tell me about the volcano", "We learned about volcanoes at school."),
    ],
)
def test_the_right_old_turn_comes_first(store: MemoryStore, query: str, text: str) -> None:
    found = recall(store, "Anna", "Luna", query, 3)
    assert found[0].turn is not None
    assert found[0].turn.user_text == text
    assert found[0].score > 0
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


def test_recall_says_by_which_words_and_around_whose_utterance(store: MemoryStore) -> None:
    (by_person,) = recall(store, "Anna", "Luna", "red mitten", 1)
    assert by_person.why == "red, mitten: around what Anna said"
    (by_character,) = recall(store, "Anna", "Luna", "is there maple syrup?", 1)
    assert by_character.why == "maple, syrup: around what Luna said"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "oh really, and then?",
        "What is the capital of Mongolia?",
        "My friend Tom has a purple bicycle with a dog horn and racing stripes",
        "Luna?",
        "Anna and Luna",
    ],
)
def test_nothing_is_recalled_when_nothing_is_worth_saying(store: MemoryStore, query: str) -> None:
    assert recall(store, "Anna", "Luna", query, 3) == ()


def test_the_newest_turns_are_left_out(store: MemoryStore) -> None:
    (newest,) = store.last_turns("Anna", "Luna", 1)
    mitten = remember(store, "The red mitten is back!", "Hooray.")
    assert recall(store, "Anna", "Luna", "red mitten", 1)[0].turn == mitten
    assert recall(store, "Anna", "Luna", "red mitten", 1, exclude_newest=1)[0].text == "I lost my red mitten."
    found = recall(store, "Anna", "Luna", "red mitten", 9, exclude_newest=2)
    assert {each.turn and each.turn.turn_id for each in found}.isdisjoint({newest.turn_id, mitten.turn_id})
    assert recall(store, "Anna", "Luna", "red mitten", 3, exclude_newest=99) == ()
    assert recall(store, "Anna", "Luna", "red mitten", 0) == ()


def test_among_equals_the_newer_turn_comes_first(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        equals = []
        for _ in range(3):
            remember(store, "good morning", "hello")  # a turn is found by the one before it, too
            equals.append(remember(store, "my kite flew away", "oh no"))
        assert [each.turn for each in recall(store, "Anna", "Luna", "kite", 3)] == equals[::-1]


@pytest.mark.parametrize(
    ("said", "query"),
    [
        ("我的小狗叫饼干,它怕打雷", "小狗叫什么名字"),
        ("うちの犬の名前はビスケットです", "犬の名前は何?"),
        ("우리 강아지 이름은 비스킷이야", "강아지는 어디 있어?"),
        ("หมาของฉันชื่อบิสกิต", "หมาชื่ออะไร"),
        ("Meine Großmutter wohnt in Köln", "Wo wohnt Großmutter?"),
        ("Моя собака боится грома", "где собака?"),
        ("J'ai perdu mon chapeau à l'école", "chapeau ecole"),
    ],
)
def test_other_languages_are_found(store: MemoryStore, said: str, query: str) -> None:
    remember(store, said, "Hm.")
    remember(store, "Good night!", "Sleep well.")
    assert recall(store, "Anna", "Luna", query, 1)[0].text == said


def test_no_query_and_no_name_raises(store: MemoryStore) -> None:
    @settings(deadline=None, max_examples=200)
    @given(
        query=st.text(max_size=80)
        | st.text(alphabet="a\"'*:^()-+{},.NEAROT \u2019恐龙\u0e31\u0000\ud800", max_size=60),
        person=st.sampled_from(["Anna", "", "\ud800", 'A"n']),
    )
    def recall_anything(query: str, person: str) -> None:
        recall(store, person, "Luna", query, 5)
        assert len(recall(store, "Anna", "Luna", query, 2, exclude_newest=1)) <= 2

    recall_anything()
