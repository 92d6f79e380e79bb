"""Summaries: the words of the person, the weightiest of them, never more than fit."""

from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.summaries import EPISODE_GAP_S, MAX_LETTERS, Utterance, is_new_episode, summary

DAY = date(2026, 5, 3)
BEGINNING = "On 3 May 2026 we talked, and Anna said:"


def _said(text: str, vector: tuple[int, ...] | None = None, feelings: bytes | None = None) -> Utterance:
    embedding = None if vector is None else np.array(vector, dtype=np.int8).tobytes()
    return Utterance(text=text, by_person=True, embedding=embedding, feelings=feelings)


def _heard(text: str) -> Utterance:
    return Utterance(text=text, by_person=False)


def test_important_sentences_are_quoted_in_the_order_spoken() -> None:
    talk = [
        _said("Hello! How are you?"),
        _heard("I am well, and my name is Luna."),
        _said("My rabbit Flocke ran away. Well. We looked for my rabbit in the garden."),
    ]
    assert summary("Anna", talk, DAY) == (
        f'{BEGINNING} "My rabbit Flocke ran away." "We looked for my rabbit in the garden."'
    )


def test_greetings_questions_and_replies_alone_are_not_worth_a_summary() -> None:
    talk = [_said("Hello!"), _heard("My name is Luna. I love you."), _said("What is the moon made of?"), _said("")]
    assert summary("Anna", talk, DAY) is None
    assert summary("Anna", [], DAY) is None


def test_what_the_talk_was_about_comes_before_what_was_mentioned_once() -> None:
    about = [_said(f"My {kind} castle has towers of {kind} sand." + " Castle." * 3) for kind in ("yellow", "wet")]
    aside = _said("I heard somebody cough behind curtains upstairs quietly, whatever brought that about.")
    told = summary("Anna", [*about, aside], DAY)
    assert told is not None
    assert told.index("castle") < (told.index("cough") if "cough" in told else MAX_LETTERS)


def test_meanings_tell_what_is_central_where_there_are_any() -> None:
    sentences = [
        "My kite flew above the church until nobody could see its tail anymore.",
        "My wind was strong enough for lifting hats off those farmers down there.",
        "My soup tasted odd because somebody put sugar where salt belongs today.",
    ]
    vectors = [(100, 10), (100, -10), (0, 100)]
    told = summary("Anna", [_said(text, vector) for text, vector in zip(sentences, vectors, strict=True)], DAY)
    assert told is not None
    assert "kite" in told
    assert "soup" not in told


def test_meanings_of_odd_lengths_do_not_count() -> None:
    utterances = [
        Utterance(text="My kite flew above the church.", by_person=True, embedding=b"\1\0\0"),
        Utterance(text="My soup tasted odd today.", by_person=True, embedding=b""),
        Utterance(text="My wind was strong enough for hats.", by_person=True, embedding=b"\1\0"),
    ]
    assert summary("Anna", utterances, DAY) is not None


def test_the_same_is_not_told_twice() -> None:
    told = summary(
        "Anna", [_said("My dog Rex is ill."), _said("my dog rex is ill."), _said("Rex, my dog, is so ill!")], DAY
    )
    assert told == f'{BEGINNING} "my dog rex is ill."'


def test_a_sentence_that_is_too_long_is_cut_between_words() -> None:
    told = summary("Anna", [_said("I saw " + "elephants " * 60)], DAY)
    assert told is not None
    assert len(told) <= MAX_LETTERS
    assert told.endswith('elephants"')


def test_sentences_of_unspaced_scripts_are_sentences() -> None:
    told = summary("Anna", [_said("我的小狗病了。我们明天去海边看奶奶。你说什么\uff1f")], DAY)
    assert told == f'{BEGINNING} "我的小狗病了。" "我们明天去海边看奶奶。"'


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=300), st.lists(st.tuples(st.text(max_size=400), st.booleans()), max_size=8))
def test_any_talk_gives_at_most_so_many_letters_and_always_the_same(person: str, talk: list[tuple[str, bool]]) -> None:
    utterances = [Utterance(text=text, by_person=by_person) for text, by_person in talk]
    told = summary(person, utterances, DAY)
    assert told is None or len(told) <= MAX_LETTERS
    assert told == summary(person, utterances, DAY)


def test_an_episode_ends_with_a_pause_or_a_jump_of_the_clock() -> None:
    assert not is_new_episode(1000.0, 1000.0 + EPISODE_GAP_S)
    assert is_new_episode(1000.0, 1001.0 + EPISODE_GAP_S)
    assert not is_new_episode(1000.0, 990.0)
    assert is_new_episode(1_700_000_000.0, 0.0)
