"""What an utterance asks of memory: of whom, of when, and for what kind of answer."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.asking import asked, holds, in_first_person

AT = datetime(2024, 5, 15, 12, tzinfo=UTC)
NAMES = ("Anna", "Luna")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("When did Anna go to the lake?", "When did I go to the lake?"),
        ("What is Luna's favourite colour?", "What is my favourite colour?"),
        ("Where do anna\u2019s rabbits live?", "Where do my rabbits live?"),
        ("Luna, where is my hat?", "where is my hat?"),
        ("Hey Luna! Where is my hat?", "Where is my hat?"),
        ("Where is my hat, Luna?", "Where is my hat?"),
        ("What is your favourite colour?", "What is my favourite colour?"),
        ("Did you eat my cake?", "Did you eat my cake?"),
        ("Annabel and the lunatics", "Annabel and the lunatics"),
        ("Wo wohnt Oma?", "Wo wohnt Oma?"),
        ("", ""),
    ],
)
def test_a_question_is_put_as_whoever_it_is_about_would_say_it(text: str, said: str) -> None:
    assert in_first_person(text, NAMES) == said


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("When did Anna go to the lake?", "person"),
        ("What does Luna like?", "character"),
        ("What did Anna and Luna do?", None),
        ("What's my dog's name?", "person"),
        ("Luna, what's my dog's name?", "person"),
        ("What is your favourite colour?", "character"),
        ("Did you find my hat?", None),
        ("Where does grandma live?", None),
    ],
)
def test_who_is_asked_about(text: str, about: str | None) -> None:
    assert asked(text, NAMES, AT).about == about


def test_names_are_not_searched_for_and_long_utterances_by_their_long_words() -> None:
    assert [word.shown for word in asked("Did Anna tell Luna about dragons?", NAMES, AT).words] == ["dragons"]
    long = asked(" ".join(f"{'x' * n}y" for n in range(1, 20)), NAMES, AT).words
    assert len(long) == 12
    assert min(len(word.shown) for word in long) == 9


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("What did we do yesterday?", True),
        ("And last week?", True),
        ("What did we say about dragons last week?", False),
        ("What about dragons?", False),
    ],
)
def test_it_is_told_whether_only_a_time_is_asked_about(text: str, only: bool) -> None:
    question = asked(text, NAMES, AT)
    assert question.spans or not only
    assert (not question.topic) == only


@pytest.mark.parametrize(
    ("question", "answer", "other"),
    [
        ("When is the party?", "It is on Friday", "It will be great"),
        ("How many dogs has Tom?", "He has two", "He has some"),
        ("How long did it take?", "It took a week", "It was hard"),
        ("Who came along?", "I went with Leo", "I went with them"),
        ("Where do we go?", "We go to Paris", "We go there"),
        ("When was it?", "Es war gestern", "Es war gut"),
        ("When was it?", "我昨天去了", "我去了"),
    ],
)
def test_what_could_be_the_answer_is_told_from_what_could_not(question: str, answer: str, other: str) -> None:
    kinds = asked(question, NAMES, AT).answers
    assert kinds
    assert holds(answer, kinds, NAMES)
    assert not holds(other, kinds, NAMES)


def test_the_names_of_those_who_talk_are_no_answer() -> None:
    kinds = asked("Who came along?", NAMES, AT).answers
    assert not holds("You know that I and Luna did, said Anna", kinds, NAMES)


@settings(deadline=None, max_examples=150)
@given(text=st.text(max_size=80), person=st.text(max_size=8), character=st.sampled_from(["Luna", "(", "\\", "", "a b"]))
def test_no_text_and_no_name_raises(text: str, person: str, character: str) -> None:
    names = (person, character)
    question = asked(text, names, AT)
    holds(text, question.answers | {"time", "number", "name"}, names)
    in_first_person(text, names)


@pytest.mark.parametrize(
    "text", ["What do you like?", "Do you remember my dog?", "What did I tell you?", "Did Luna go?"]
)
def test_a_person_without_a_name_is_not_whoever_is_called_you(text: str) -> None:
    unnamed = ("you", "Luna")
    assert in_first_person(text, unnamed) == in_first_person(text, NAMES)
    assert asked(text, unnamed, AT) == asked(text, NAMES, AT)
