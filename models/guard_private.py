"""Private data that shows by its form: numbers of cards and accounts, telephone numbers, mail addresses, links.

Pure, in one pass over the text. Numbers are checked by what makes them valid (Luhn for cards, ISO 7064 mod 97-10 for
IBANs) or by how they are grouped, so that counting, sums, years and dates are none. Secrets and addresses that show by
the words around them are for the rules of a language.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from models.guard_words import Words

Kind = Literal["card", "account", "phone", "mail", "link", "secret", "place"]

_DIGIT_RUN = re.compile(r"[+(]?\d(?:[ ()./-]{0,3}\d)*")
# ISO 13616: country, two check digits, up to 30 letters and digits, in groups of four.
_IBAN = re.compile(r"(?<![^\W_])[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?(?![^\W_])")
_DATE = re.compile(r"\d{1,2}([./-])\d{1,2}\1\d{2,4}|\d{4}([./-])\d{1,2}\2\d{1,2}")
_TRIMMED = "\"'()[]<>,;:!?.\u201c\u201d"
_TOP_DOMAINS = frozenset(
    "com org net edu gov info io ai app dev de at ch uk eu es fr it nl pl us ca au cn jp kr ru br mx in".split()  # noqa: SIM905
)
_LONGEST_HOST = 80

_CARD_DIGITS = range(13, 20)
_PHONE_DIGITS = range(7, 16)
_COUNTED_DIGITS = 7
"""So many spoken digits in a row that are no counting are a telephone number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateSpan:
    """Private data in a text: `[start, end)` in code points."""

    kind: Kind
    start: int
    end: int


def private_spans(text: str, words: Words, digits: Mapping[str, int]) -> list[PrivateSpan]:
    """What in `text`, whose words are `words`, is private by its form. `digits` are the language's words for 0 to 9."""
    return [
        *_numbers(text),
        *(PrivateSpan(kind="account", start=m.start(), end=m.end()) for m in _IBAN.finditer(text) if _is_iban(m[0])),
        *_addresses(text),
        *_spoken_numbers(words, digits),
    ]


def _numbers(text: str) -> Iterator[PrivateSpan]:
    for found in _DIGIT_RUN.finditer(text):
        run = found[0]
        digits = [int(char) for char in run if char.isdecimal()]
        if len(digits) in _CARD_DIGITS and _is_luhn(digits):
            yield PrivateSpan(kind="card", start=found.start(), end=found.end())
        elif len(digits) in _PHONE_DIGITS and _is_phone(run):
            yield PrivateSpan(kind="phone", start=found.start(), end=found.end())


def _is_phone(run: str) -> bool:
    """Digits that are written as telephone numbers are: with a leading + or 0, or in the groups of North America."""
    groups = re.findall(r"\d+", run)
    if _DATE.fullmatch(run) or (len(groups) > 2 and _is_counting([int(group) for group in groups])):
        return False
    sizes = [len(group) for group in groups]
    if run[0] in "+(" or (groups[0][0] == "0" and sizes != [1] * len(sizes)):
        return True
    return sizes[-2:] == [3, 4] and len(sizes) <= 4 and all(size <= 3 for size in sizes[:-2])


def _is_luhn(digits: Sequence[int]) -> bool:
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and any(digits)


def _is_iban(written: str) -> bool:
    account = written.replace(" ", "").upper()
    return int("".join(str(int(char, 36)) for char in account[4:] + account[:4])) % 97 == 1


def _addresses(text: str) -> Iterator[PrivateSpan]:
    at = 0
    for token in text.split():
        start = text.index(token, at)
        at = start + len(token)
        bare = token.strip(_TRIMMED)
        if len(bare) < 4 or "." not in bare:
            continue
        name, sign, host = bare.rpartition("@")
        lowered = bare.lower()
        if sign and name and _is_host(host):
            yield PrivateSpan(kind="mail", start=start, end=at)
        elif not sign and (lowered.startswith(("http://", "https://", "www.")) or _is_host(bare.partition("/")[0])):
            yield PrivateSpan(kind="link", start=start, end=at)


def _is_host(host: str) -> bool:
    labels = host.lower().split(".") if len(host) <= _LONGEST_HOST else []
    return len(labels) > 1 and labels[-1] in _TOP_DOMAINS and all(label.replace("-", "").isalnum() for label in labels)


def _spoken_numbers(words: Words, digits: Mapping[str, int]) -> Iterator[PrivateSpan]:
    run: list[int] = []
    for at, word in enumerate((*words.texts, "")):
        if word in digits or (len(word) == 1 and word.isdecimal()):
            run.append(at)
            continue
        if len(run) >= _COUNTED_DIGITS:
            said = [digits[w] if w in digits else int(w) for w in (words.texts[place] for place in run)]
            if not _is_counting(said):
                yield PrivateSpan(kind="phone", start=words.starts[run[0]], end=words.ends[run[-1]])
        run = []


def _is_counting(numbers: Sequence[int]) -> bool:
    """Whether it goes up or down in nearly equal steps, as a child counts; one slip in four is allowed."""
    steps = [after - before for before, after in pairwise(numbers)]
    usual = max(set(steps), key=steps.count)
    return usual != 0 and 4 * steps.count(usual) >= 3 * len(steps)
