"""When a reply ends short of the model's own end: limits on its length, stop strings, and a number of words.

A reply that is spoken must not break off inside a clause, so the limit of words waits a little for the end of one.
Pure: texts of whole characters come in, in order, and the answer is how much of them belongs to the reply. Which tokens
that makes is worked out in `models.detok`, and tokens are counted in `models.generation`.
"""

# ruff: noqa: RUF001  characters that resemble others are the subject here

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyLimits:
    """How long a reply may become.

    `max_tokens` counts what is said; what a model thinks before has `thinking_tokens` of its own, and a thought that
    has used them up is closed for it (0: every thought is closed as soon as it begins). A string of `stop` ends the
    reply and is no part of it. After `max_words` (0: any number) the reply ends with its next clause, or after
    `clause_slack_words` more if none ends before (0: right at the word).
    """

    max_tokens: int
    stop: tuple[str, ...] = ()
    max_words: int = 0
    clause_slack_words: int = 8
    thinking_tokens: int = 0

    def __post_init__(self) -> None:
        if min(self.max_tokens, self.max_words, self.clause_slack_words, self.thinking_tokens) < 0:
            raise ValueError("a limit of a reply must not be negative")
        if "" in self.stop:
            raise ValueError("a stop string must not be empty")

    @property
    def max_events(self) -> int:
        """The most events that a reply within these limits has: each token makes at most one piece, and besides there
        are how the prompt was prefilled, a last piece and the end."""
        return self.max_tokens + self.thinking_tokens + 3


class StopStrings:
    """Finds strings that end a reply in text that is still coming."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(stop)

    def certain(self, text: str) -> tuple[int, bool]:
        """Of `text`, which nobody has been given yet: how many characters are before the first stop string, or cannot
        be the beginning of one whatever follows; and whether there is a stop string."""
        found = [at for at in (text.find(stop) for stop in self._stop) if at >= 0]
        if found:
            return min(found), True
        return len(text) - possible_start(text, self._stop), False


def possible_start(text: str, wanted: Sequence[str]) -> int:
    """The length of the longest end of `text` that is the beginning of one of the strings, but not all of it."""
    longest = max((len(one) for one in wanted), default=1) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(one.startswith(text[-length:]) for one in wanted):
            return length
    return 0


_SPACED_MARKS = frozenset(",;:.!?")
"""They end a clause before white space only: 3.14, 10:30 and example.com are words."""

_FREE_MARKS = frozenset("…、。，；：！？．､｡،؛؟۔।॥፣፤፥።፧։՝၊။៕៖།༎‥‼⁇⁈⁉")
"""Chinese, Arabic, Urdu, Hindi, Amharic, Armenian, Burmese, Khmer, Tibetan: no space need follow."""

_MARKS = _SPACED_MARKS | _FREE_MARKS
_CLOSERS = frozenset("\"'”’“»›)]}】」』）》〉*_~`")
_LINE_ENDS = frozenset("\n\r\v\f\u0085\u2028\u2029")
_JOINTS = frozenset("'’-.,:_·\u2011")
"""Between letters or digits they are part of the word: don't, well-known, 1,000."""

_ZERO_WIDTH_JOINERS = frozenset("\u200c\u200d")

_WORD_PER_CHARACTER = re.compile(
    "[\u3005\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")  # Thai, Lao, Burmese, Khmer
_LETTERS_PER_UNSPACED_WORD = 4
"""Vowel signs above and below not counted; Thai and its neighbours write no space between words."""


class WordLimit:
    """Counts the words of one reply and says where it ends. Words are runs of letters and digits; in Han and kana every
    character counts as one, in Thai and its neighbours every fourth letter."""

    def __init__(self, max_words: int, slack_words: int) -> None:
        """`max_words` 0 is no limit; `slack_words` is how many more may come before the end of a clause."""
        self._max = max_words
        self._most = max_words + slack_words
        self._n_words = 0
        self._word = ""
        self._inside = False  # behind a letter of `_word`
        self._joined = False  # behind a mark that may be inside `_word`
        self._ending = ""  # "free" or "spaced": behind a mark that ends, or may end, the last clause

    def cut(self, text: str) -> int | None:
        """Take the next text. None while the reply goes on, else how many characters of `text` still belong to it."""
        if not self._max:
            return None
        for at, char in enumerate(text):
            if self._ends_before(char):
                return at
            if self._begins_word(char):
                if self._n_words >= self._most:
                    return len(text[:at].rstrip())
                self._n_words += 1
        return None

    def _ends_before(self, char: str) -> bool:
        """Whether the last clause ends before this character."""
        if self._n_words < self._max:
            return False
        if char in _LINE_ENDS:
            return True
        if self._ending:
            if char in _CLOSERS:
                return False
            if self._ending == "free" and char not in _MARKS:
                return True
            if char.isspace():
                return True
        if char in _FREE_MARKS:
            self._ending = "free"
        elif char not in _SPACED_MARKS:
            self._ending = ""
        elif not self._ending and not (char == "." and _may_be_abbreviated(self._word)):
            self._ending = "spaced"
        return False

    def _begins_word(self, char: str) -> bool:
        """Whether a word begins with this character. Remembers it."""
        if not char.isalnum():
            if char in _ZERO_WIDTH_JOINERS or unicodedata.category(char).startswith("M"):
                return False  # part of the letter before it
            self._joined = self._inside and char in _JOINTS
            self._inside = False
            self._word = self._word + char if self._joined else self._word
            return False
        apart = _WORD_PER_CHARACTER.match(char) or _WORD_PER_CHARACTER.match(self._word[-1:])
        full = _UNSPACED.match(char) and len(self._word) >= _LETTERS_PER_UNSPACED_WORD
        goes_on = (self._inside or self._joined) and not apart and not full
        self._word = self._word + char if goes_on else char
        self._inside, self._joined = True, False
        return not goes_on


def _may_be_abbreviated(word: str) -> bool:
    """Whether a full stop behind `word` is perhaps none: Dr., e.g., J. A sentence that does end there only goes on to
    the end of its next clause."""
    letters = word.rstrip(".")
    short = len(letters) <= 3 and letters[:1].isupper() and letters[1:].islower()
    return not letters.isdecimal() and (len(letters) == 1 or short or "." in letters)
