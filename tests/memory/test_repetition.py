"""What counts as said again, and what does not."""

import numpy as np

from memory.repetition import Spoken, said_again

ONE, NEAR, FAR = (100, 0, 0), (95, 20, 0), (0, 100, 0)


def _spoken(*said: tuple[str, tuple[int, ...]], n_old: int = 0) -> list[Spoken]:
    return [
        Spoken(utterance_id=n, text=text, embedding=np.array(vector, dtype=np.int8).tobytes(), is_new=n >= n_old)
        for n, (text, vector) in enumerate(said)
    ]


def test_the_same_words_are_the_same_whatever_case_and_punctuation() -> None:
    assert said_again(_spoken(("I'm hungry", ONE), ("We ate", ONE), ("i'm hungry!", FAR))) == [0]


def test_other_words_around_the_same_significant_ones_need_the_same_meaning() -> None:
    assert said_again(_spoken(("I love dragons", ONE), ("I really love dragons", NEAR))) == [0]
    assert said_again(_spoken(("I love dragons", ONE), ("I don't love dragons", FAR))) == []
    assert said_again(_spoken(("I love dragons", ONE), ("I love horses", ONE))) == []


def test_all_but_the_newest_are_repeated() -> None:
    assert said_again(_spoken(*[("Tell me a story", ONE)] * 4)) == [0, 1, 2]


def test_only_what_is_new_repeats_something() -> None:
    assert said_again(_spoken(*[("Tell me a story", ONE)] * 3, n_old=3)) == []
    assert said_again(_spoken(*[("Tell me a story", ONE)] * 3, n_old=2)) == [0, 1]


def test_sounds_without_words_repeat_nothing() -> None:
    assert said_again(_spoken(("...", ONE), ("!", ONE), ("", ONE))) == []
    assert said_again([]) == []
