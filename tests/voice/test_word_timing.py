import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.word_timing import SpokenWord, chars_said, spoken_words, word_end_samples

ID_MAP = {char: [number] for number, char in enumerate("_^$ .,!?;:abcdefghijklmnopqrstuvwxyz")}


def said(speech: str, phonemes: str) -> list[str | None]:
    """What of `speech` was said with each of the words written in `phonemes`, None inside a word."""
    spoken = [
        SpokenWord(phonemes=word.rstrip(".,!?;:"), before_pause=word[-1] in ".,!?;:") for word in phonemes.split(" ")
    ]
    shown: list[str | None] = []
    done = 0
    for chars in chars_said(speech, spoken):
        shown.append(None if chars is None else speech[done:chars].strip())
        done = chars or done
    return shown


@pytest.mark.parametrize(
    ("speech", "phonemes", "expected"),
    [
        ("one two three", "wan tuu thrii", ["one", "two", "three"]),
        ("One of the best, I say.", "wan avdhe best, ai sei.", ["One", "of the", "best,", "I", "say."]),
        ("It is 3.14 now", "it is thri point wan for nau", ["It", "is", None, None, None, "3.14", "now"]),
        ("in 1994, then", "in naintin handrid nainti for, dhen", ["in", None, None, None, "1994,", "then"]),
        ("a dot b", "ei dot bi", ["a", "dot", "b"]),
    ],
)
def test_written_and_spoken_words_are_laid_side_by_side(speech: str, phonemes: str, expected: list[str | None]) -> None:
    assert said(speech, phonemes) == expected


@pytest.mark.parametrize(
    ("speech", "phonemes"), [("word", "w " * 30 + "w"), ("a b c d e f g h", "x"), ("a " * 300, "x")]
)
def test_what_cannot_be_laid_side_by_side_gives_nothing(speech: str, phonemes: str) -> None:
    assert said(speech, phonemes) == []


def test_nothing_said_or_written_gives_nothing() -> None:
    assert chars_said("", [SpokenWord(phonemes="a", before_pause=False)]) == []
    assert chars_said("a", []) == []


def test_a_word_ends_before_its_pause() -> None:
    phonemes = list("ab, c.")
    # ^_ a_ b_ ,_ space_ c_ ._ $
    id_samples = [1, 1, 10, 1, 10, 1, 100, 1, 5, 1, 10, 1, 100, 1, 1]
    assert spoken_words(phonemes, ID_MAP) == [
        SpokenWord(phonemes="ab", before_pause=True),
        SpokenWord(phonemes="c", before_pause=True),
    ]
    assert word_end_samples(phonemes, id_samples, ID_MAP) == [24, 142]


def test_phonemes_the_voice_does_not_know_take_no_time() -> None:
    phonemes = ["a", "ʘ", " ", "ʘ", " ", "b"]
    id_samples = [1, 1, 10, 1, 5, 1, 5, 1, 10, 1, 1]
    assert [word.phonemes for word in spoken_words(phonemes, ID_MAP)] == ["a", "b"]
    assert word_end_samples(phonemes, id_samples, ID_MAP) == [13, 36]


@settings(deadline=None, max_examples=100)
@given(
    st.text(alphabet="ab1., ", max_size=30),
    st.lists(
        st.builds(SpokenWord, phonemes=st.text("ab", min_size=1, max_size=5), before_pause=st.booleans()), max_size=12
    ),
)
def test_characters_said_rise_to_the_end_of_the_speech(speech: str, spoken: list[SpokenWord]) -> None:
    result = chars_said(speech, spoken)
    known = [chars for chars in result if chars is not None]
    assert known == sorted(set(known))
    assert result == [] or (len(result) == len(spoken) and result[-1] == len(speech.rstrip()))
