"""What a character is, for cutting and reading text: wide scripts, pictographs, and what no synthesizer should see.

Shared by `voice.borders`, `voice.clauses` and `voice.speakable`; pure functions of one character.
"""

import re
import unicodedata

WIDE = "\u3005\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
"""Han and kana as a regular-expression class: written without spaces, each character about a syllable."""

_WIDE_CHARACTER = re.compile(f"[{WIDE}]")
_SYLLABLE_CHARACTER = re.compile("[\u0900-\u0dff\u0f00-\u109f\u1200-\u139f\u1780-\u17ff\uac00-\ud7a3]")
"""The scripts of India, Tibet, Burma, Ethiopia, Cambodia and Korea: a letter is about a syllable."""

_SPOKEN_SYMBOLS = frozenset("°№℃℉")
"""Of Unicode's "other symbols", nearly all pictographs, the ones that are read aloud."""

_ZERO_WIDTH_JOINERS = frozenset("\u200c\u200d")
_SILENT_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "So", "Sk", "Me"})
_PICTOGRAPH_CATEGORIES = frozenset({"So", "Cn", "Co", "Me"})


def is_wide(char: str) -> bool:
    """Whether the character stands in a script that writes a word, or a syllable, per character and no spaces."""
    return _WIDE_CHARACTER.match(char) is not None


def letter_weight(char: str) -> int:
    """How much speech a character stands for, in Latin letters: 0 for what is silent, 3 for a Han character."""
    if not char.isalnum():
        return 0
    if is_wide(char):
        return 3
    return 2 if _SYLLABLE_CHARACTER.match(char) else 1


def is_pictograph(char: str) -> bool:
    """Whether the character is an emoji, a dingbat or a part of one (joiner, skin tone, variation selector, tag).

    Characters this Python's Unicode does not know yet count: they are next year's emoji.
    """
    if char < "\u00a9" or char in _SPOKEN_SYMBOLS:
        return False
    return (
        unicodedata.category(char) in _PICTOGRAPH_CATEGORIES
        or _is_variation_selector(char)
        or char == "\u200d"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
    )


def is_silent(char: str) -> bool:
    """Whether the character must not reach a synthesizer: controls, lone surrogates, pictographs, arrows, bars.

    Zero-width joiners count as silent, though between letters some scripts need them: see `is_joiner`.
    """
    if char in _SPOKEN_SYMBOLS:
        return False
    return (
        unicodedata.category(char) in _SILENT_CATEGORIES
        or _is_variation_selector(char)
        or char in "|\\"
        or "\u2190" <= char <= "\u21ff"
        or "\u27f0" <= char <= "\u27ff"
        or "\u2900" <= char <= "\u297f"
    )


def is_joiner(char: str, before: str, after: str) -> bool:
    """Whether a zero-width (non-)joiner stands inside a written word, as in Persian or Hindi, and not in an emoji."""
    return char in _ZERO_WIDTH_JOINERS and _is_of_word(before) and _is_of_word(after)


def _is_of_word(char: str) -> bool:
    if char == "" or _is_variation_selector(char):
        return False
    return char.isalpha() or unicodedata.category(char) in ("Mn", "Mc")


def _is_variation_selector(char: str) -> bool:
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
