"""From what a model writes to what a synthesizer should say: markup, emoji, addresses, units and odd characters.

Takes a raw piece of a reply, gives `Word`s whose text is fit to be spoken and whose `end` points back into the reply.
Where a piece begins and ends is decided in `voice.clauses`; what a language says for a sign is data in `voice.lexicon`.
Every rule looks at the piece alone, so that it works on a link or a tag of which a clause border left one half.
"""

# ruff: noqa: RUF001  characters that resemble others are the subject here

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from voice.lexicon import Lexicon, lexicon_for
from voice.messages import Word
from voice.scripts import WIDE, is_joiner, is_pictograph, is_silent

_GONE = "\x00"
"""Stands in for a removed character, so that offsets hold until words are made; a NUL of the reply is removed too."""

_TAG_ATTRIBUTE = r"""\s+[\w:-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s<>"']+)"""
_BLANKED = (
    # Comments, chat-template tokens that leaked, tags. An unfinished or spaced "<" is a sign, not a tag.
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"<\|[^|<>\n]{1,40}\|>"),
    re.compile(rf"</?[A-Za-z][\w-]*(?:{_TAG_ATTRIBUTE})*\s*/?>"),
    # The fence of a block of code (its language with it), a rule, the marks at the start of a line, table rules.
    re.compile(r"^[ \t]*(?:```|~~~)[^\n`]*$", re.MULTILINE),
    re.compile(r"^[ \t]*([-*_=])(?:[ \t]*\1){2,}[ \t]*$", re.MULTILINE),
    re.compile(r"^[ \t]*(?:(?:#{1,6}|[-*+•‣◦▪·–—]|>)(?:[ \t]+|$)(?:\[[ xX]\](?=[ \t]))?)+", re.MULTILINE),
    re.compile(r"^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*(?::?-+:?[ \t]*)?)+$", re.MULTILINE),
    # Emoticons and arrows drawn with letters and signs.
    re.compile(r"""(?<!\S)(?:[:;=]['’]?-?[()DPpOo/|*]+|[:;]-?3|<3+|\^_*\^|[xX]D{1,3}|T_T)(?=$|[\s.,!?])"""),
    re.compile(r"(?<!\S)(?:<?[-=]+>|<[-=]+)(?!\S)"),
)
_REMOVED = (
    re.compile("[0-9#*]\ufe0f?\u20e3"),
    re.compile(r"\]\([^()\s]*(?:\s+\"[^\"\n]*\")?\)|!?\[|\]"),
    re.compile(r"\*+|~~+|`+|(?<![^\W_])_+|_+(?![^\W_])"),
)
_PRODUCT_STAR = re.compile(r"(?<=\d)[ \t]?\*[ \t]?(?=\d)")

_WIDE_LETTER = re.compile(f"[{WIDE}]")
_LEADING_ZERO_WIDTH = "([{<«‹“‘\"'「『（【《"
_DASHES = frozenset("—―⸺–-")
_BREAKING_DASHES = frozenset("—―⸺")
_INTONATION = frozenset(".,!?;:…。，！？；：、،؛؟।։።")

_WEB_ADDRESS = re.compile(
    r"""^\W*(?:https?://|ftp://|www\.)([^\s/:?#"'<>)]*\w)\S*?([.,!?;:]?)[^\w/]*$""", re.IGNORECASE
)
_MAIL_ADDRESS = re.compile(r"^\W*(?:mailto:)?([\w.+-]+)@([\w-]+(?:\.[\w-]+)+?)([.,!?;:]?)\W*$")
_RANGE = re.compile(r"^(\W*\d{1,3}(?:[.:]\d+)?)[-–](\d{1,3}(?:[.:]\d+)?\W*)$")
_AMOUNT_BEHIND_SIGN = re.compile(r"^(\W*?)([$€£¥₹₽])(\d(?:[\d.,]*\d)?)([^\w$€£¥₹₽]*)$")
_AMOUNT_BEFORE_SIGN = re.compile(r"^(\W*?)(\d(?:[\d.,]*\d)?)([$€£¥₹₽])(\W*)$")
_NUMBER_WITH_UNIT = re.compile(r"^([^\w-]*-?)(\d(?:[\d.,]*\d)?)([^\W\d]\S*?|°\S*?)([.,!?;:)\]]*)$")
_UNIT = re.compile(r"^(\S*?)([.,!?;:)\]]*)$")
_WITH_CENTS = re.compile(r"^(.*\d)[.,](\d\d)$")
_ENDS_WITH_NUMBER = re.compile(r"(\d(?:[\d.,]*\d)?)\s*$")


def speakable_words(raw: str, *, start: int = 0, language: str = "en") -> tuple[Word, ...]:
    """The words to speak for `raw`, which stands at offset `start` of the reply; none if nothing in it is speech.

    A word's text ends with a space where the next word is written apart, and carries the punctuation that guides
    intonation. `end` never falls; what has no speech belongs to a word beside it, and the last word ends with `raw`.
    """
    lexicon = lexicon_for(language)
    text = _without_markup(raw)
    said: list[_Said] = []
    pieces = list(_pieces(text))
    for piece, after in zip_longest(pieces, pieces[1:]):
        spoken = _spoken(piece.text, said[-1].text if said else "", after.text if after else "", lexicon)
        if _is_speech(spoken, lexicon):
            said.append(_Said(text=spoken, end=piece.end, spaced=piece.spaced))
        elif said:
            said[-1].take_silent(piece, spoken)
    if not said:
        return ()
    said[-1].end = len(raw)
    said[-1].spaced = False
    return tuple(Word(text=one.text + " " * one.spaced, end=start + one.end) for one in said)


@dataclass(slots=True, kw_only=True)
class _Piece:
    """What may become one word: `end` is its end in the raw text, `spaced` whether the next one is written apart."""

    text: str
    end: int
    spaced: bool


@dataclass(slots=True, kw_only=True)
class _Said:
    """A word in the making."""

    text: str
    end: int
    spaced: bool

    def take_silent(self, piece: _Piece, spoken: str) -> None:
        """Take in a piece without speech that follows: the intonation of a lone sign ("Oui !"), a pictograph's end."""
        sign = spoken[:1]
        if sign and self.text[-1] not in _INTONATION:
            if sign in _INTONATION:
                self.text += sign
            elif sign in _DASHES:
                self.text += ","
        if sign in _INTONATION or any(is_pictograph(char) for char in piece.text):
            self.end = piece.end
        self.spaced = self.spaced or piece.spaced


def _without_markup(raw: str) -> str:
    """`raw` with its markup blanked or marked as gone, every other character at its old place."""
    text = _PRODUCT_STAR.sub(lambda found: found[0].replace("*", "×"), raw)
    for pattern in _BLANKED:
        text = pattern.sub(_blanks, text)
    for pattern in _REMOVED:
        text = pattern.sub(lambda found: _GONE * len(found[0]), text)
    return text


def _blanks(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _pieces(text: str) -> Iterator[_Piece]:
    """Runs without white space; within them a piece for each Han or kana character, and a cut after each long dash."""
    for run in re.finditer(r"\S+", text):
        begin = run.start()
        has_letter = last_is_wide = False
        for at in range(run.start(), run.end()):
            char = text[at]
            wide = _WIDE_LETTER.match(char) is not None
            opens = char in _LEADING_ZERO_WIDTH and last_is_wide
            if has_letter and (opens or (char.isalnum() and (wide or last_is_wide))):
                yield _Piece(text=text[begin:at], end=at, spaced=False)
                begin, has_letter, last_is_wide = at, False, False
            if char.isalnum():
                has_letter, last_is_wide = True, wide
            if char in _BREAKING_DASHES and at + 1 < run.end():
                yield _Piece(text=text[begin : at + 1], end=at + 1, spaced=True)
                begin, has_letter, last_is_wide = at + 1, False, False
        if begin < run.end():
            yield _Piece(text=text[begin : run.end()], end=run.end(), spaced=run.end() < len(text))


def _is_speech(spoken: str, lexicon: Lexicon) -> bool:
    return any(
        char.isalnum() or char in "%&§№°" or char in lexicon.symbols or unicodedata.category(char) in ("Sc", "Sm")
        for char in spoken
    )


def _spoken(piece: str, before: str, after: str, lexicon: Lexicon) -> str:
    """What is said for one piece, standing between the spoken word `before` and the raw piece `after`."""
    text = piece.replace(_GONE, "")
    if "&" in text and ";" in text:
        text = html.unescape(text).strip()
    address = _spoken_address(text, lexicon)
    if address is not None:
        return address
    text = "".join(
        char
        for at, char in enumerate(text)
        if not is_silent(char) or is_joiner(char, text[at - 1 : at], text[at + 1 : at + 2])
    )
    text = _squeezed(text.replace("_", " ").strip())
    text = _spoken_quantity(text, before, after, lexicon)
    text = _spoken_signs(text, lexicon)
    if len(text) > 1 and text[-1] in _BREAKING_DASHES:
        text = text[:-1] if text[-2] in _INTONATION else text[:-1] + ","
    return " ".join(text.split())


def _spoken_address(text: str, lexicon: Lexicon) -> str | None:
    """The host of a web address, or a whole e-mail address, in words; None if `text` is neither."""
    if found := _WEB_ADDRESS.match(text):
        host = found[1].rpartition("@")[2].removeprefix("www.")
        return (host.replace(".", f" {lexicon.dot} ") if lexicon.dot else host) + found[2]
    if lexicon.dot and lexicon.at and (found := _MAIL_ADDRESS.match(text)):
        address = f"{found[1]} {lexicon.at} {found[2]}".replace(".", f" {lexicon.dot} ").replace("_", " ")
        return address + found[3]
    return None


def _squeezed(text: str) -> str:
    """Repeated punctuation, once: "!!!" -> "!", "?!?" -> "?", "....." -> "..."."""
    text = re.sub(r"[!?‼⁉]{2,}|[‼⁉]", lambda run: "?" if "?" in run[0] or "⁉" in run[0] else "!", text)
    text = re.sub(r"\.{4,}", "...", text)
    return re.sub(r"([,;:…。，！？；：、،؛؟।—―–-])\1+", r"\1", text)


def _spoken_quantity(text: str, before: str, after: str, lexicon: Lexicon) -> str:
    """Ranges, amounts of money and numbers with units, in words where the lexicon has them."""
    if lexicon.to and (found := _RANGE.match(text)):
        return f"{found[1]} {lexicon.to} {found[2]}"
    if found := _AMOUNT_BEHIND_SIGN.match(text):
        forms = lexicon.currencies.get(found[2])
        if forms and after.strip(".,!?;:").casefold() not in lexicon.magnitudes:
            return found[1] + _amount(found[3], forms) + found[4]
    elif found := _AMOUNT_BEFORE_SIGN.match(text):
        if forms := lexicon.currencies.get(found[3]):
            return found[1] + _amount(found[2], forms) + found[4]
    elif found := _NUMBER_WITH_UNIT.match(text):
        if forms := lexicon.units.get(found[3]):
            return f"{found[1]}{found[2]} {forms[found[2] != '1']}{found[4]}"
    elif (number := _ENDS_WITH_NUMBER.search(before)) and (found := _UNIT.match(text)):
        forms = lexicon.units.get(found[1]) or lexicon.currencies.get(found[1])
        if forms:
            return forms[number[1] != "1"] + found[2]
    return text


def _amount(number: str, forms: tuple[str, str]) -> str:
    """An amount as people say it: 3.50 dollars is "3 dollars 50"."""
    if found := _WITH_CENTS.match(number):
        cents = found[2].lstrip("0")
        return f"{found[1]} {forms[found[1] != '1']}" + (f" {cents}" if cents else "")
    return f"{number} {forms[number != '1']}"


def _spoken_signs(text: str, lexicon: Lexicon) -> str:
    """Signs the lexicon has words for, and no sign that a synthesizer would read by its name."""
    text = re.sub(r"#(?=\d)", f"{lexicon.number} " if lexicon.number else "#", text)
    text = re.sub(r"~(?=\d)", f"{lexicon.about} " if lexicon.about else "", text)
    text = re.sub(r"#(?!\d)|~", "", text)
    # "C++" is a name and ">" before a word is a quirk of layout: these signs speak only alone or before a number.
    for sign, words in lexicon.symbols.items():
        if sign not in text:
            continue
        if sign in "+<>" and len(text) > 1:
            text = re.sub(rf"{re.escape(sign)}(?=\d)", f" {words} ", text)
        else:
            text = text.replace(sign, f" {words} ")
    if len(text) > 1:
        text = re.sub(r"[<>]", "", text)
    return re.sub(r"\s+(?=[.,!?;:)])", "", text)
