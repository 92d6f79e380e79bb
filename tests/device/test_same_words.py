"""Which texts count as the same words: a reply to one may be given to the other."""

import pytest

from device.same_words import same_words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How are you?", "how are you"),
        ("Well,  then!", "well then"),
        ("“Hello”, he said …", "hello he said"),
        ("caf\u00e9", "cafe\u0301"),
        ("It\u2019s me.", "it's me"),
        ("你好吗\uff1f", "你好吗"),
        ("It costs 1.5.", "it costs 1.5"),
        ("", " ... "),
    ],
)
def test_case_spaces_and_punctuation_around_words_do_not_count(one: str, other: str) -> None:
    assert same_words(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("दो", "दी"),
        ("मेरा", "मेरी"),
        ("ดี", "ดู"),
        ("1.5", "15"),
        ("-5", "5"),
        ("we're", "were"),
        ("😀", "😡"),
        ("How are you", "How old are you"),
        ("yes", "yes yes"),
        ("a b", "ab"),
    ],
)
def test_other_words_are_other_words(one: str, other: str) -> None:
    assert not same_words(one, other)
