"""Private data is told from other numbers by its form."""

import pytest

from models.guard_private import private_spans
from models.guard_words import Spelling, words_of

DIGITS = {word: n for n, word in enumerate("zero one two three four five six seven eight nine".split())}  # noqa: SIM905
PLAIN = Spelling(whole={}, endings={})


def kinds(text: str) -> dict[str, str]:
    return {span.kind: text[span.start : span.end] for span in private_spans(text, words_of(text, PLAIN), DIGITS)}


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        ("it is 4111 1111 1111 1111, ok", "card", "4111 1111 1111 1111"),
        ("4111-1111-1111-1111", "card", "4111-1111-1111-1111"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "account", "DE89 3704 0044 0532 0130 00"),
        ("gb82west12345698765432", "account", "gb82west12345698765432"),
        ("call 0171 5556677 now", "phone", "0171 5556677"),
        ("+49 (0)30 1234567", "phone", "+49 (0)30 1234567"),
        ("555-123-4567", "phone", "555-123-4567"),
        ("555-4567", "phone", "555-4567"),
        ("it's five five five one nine two eight", "phone", "five five five one nine two eight"),
        ("write to lena.k@example.com.", "mail", "lena.k@example.com."),
        ("see www.pip.fox", "link", "www.pip.fox"),
        ("see https://pip.example/x?y=1", "link", "https://pip.example/x?y=1"),
        ("go to pipfox.com/shop", "link", "pipfox.com/shop"),
    ],
)
def test_private_data_is_found(text: str, kind: str, what: str) -> None:
    assert kinds(text) == {kind: what}


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "0000 0000 0000 0000 0",
        "DE89 3704 0044 0532 0130 01",
        "I was born on 04.05.2017",
        "2017-05-04",
        "we have 1000000 toys",
        "10 9 8 7 6 5 4 3 2 1",
        "2 4 6 8 10 12 14",
        "1, 2, 3, 4, 5, 6, 7, 8",
        "one two three four five six seven eight nine",
        "nine eight seven six five four three two one zero",
        "3.14159",
        "the years 1969 1970",
        "e.g. this, i.e. that",
        "a@b",
        "end.Then",
        "12:30",
    ],
)
def test_other_numbers_are_not(text: str) -> None:
    assert kinds(text) == {}
