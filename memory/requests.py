"""What somebody who talks says about remembering: "forget that", "forget my cat", "this is private".

`understood` takes the words of a turn and gives a request, or None for nearly everything people say. A request must be
a whole sentence: "don't forget that", "I forgot that" and "never forget me" are none, and who only quotes one asks
nothing. Missing an unusual request costs a repetition, taking something else for one costs a memory; so doubtful
phrases are left out. What is said in which language is data, in `data/requests.toml`: English, German, Spanish and
Chinese. Otherwise pure.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MOST_LETTERS = 400
"""Nobody asks for this in a speech: longer turns are not looked at."""

_RULES = Path(__file__).parent / "data" / "requests.toml"

_MOST_WORDS_ABOUT = 8
_BETWEEN_SENTENCES = re.compile("[.!?;:\u2026\u3002\uff01\uff1f\uff1b\n]+")
_COMMAS = re.compile(" *[,\uff0c\u3001]+ *")
_NEITHER_LETTER_NOR_MARK = re.compile(r"[^\w',]+")
_OPTION = re.compile(r"(?P<before> ?)\[(?P<what>[^\[\]]*)\](?P<after> ?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetLast:
    """What was said last is to be forgotten: the turn before this one, and this one if it says more than the request
    (`is_all_said` is False then: "My password is banana. Forget that.")."""

    is_all_said: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetAbout:
    """Everything with these words is to be forgotten, as in `memory.selecting.Selection.words`."""

    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetEverything:
    """All of this person is to be forgotten. Ask first, and see whether `confirms` takes the answer for a yes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginIncognito:
    """Nothing is to be remembered from this turn on, itself included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndIncognito:
    """What is said from the next turn on may be remembered again."""


Request = ForgetLast | ForgetAbout | ForgetEverything | BeginIncognito | EndIncognito


def understood(text: str, language: str = "en", *, names: Sequence[str] = ()) -> Request | None:
    """The request in these words, the first if there are several.

    `language` is an ISO 639-1 code; in languages without rules there are no requests. `names` are those by which the
    character is called: "Pip, forget that".
    """
    rules = _rules(language)
    if rules is None or len(text) > MOST_LETTERS:
        return None
    sentences = [sentence for sentence in _BETWEEN_SENTENCES.split(text) if sentence.strip()]
    for sentence in sentences:
        said = _normal(sentence)
        for variant in (said, *_without_names(said, names)):
            if request := _request(rules, variant, sentence, is_all_said=len(sentences) == 1):
                return request
    return None


def confirms(text: str, language: str = "en") -> bool:
    """Whether these words are a plain yes to the question if everything is to be forgotten."""
    rules = _rules(language)
    said = _normal(_BETWEEN_SENTENCES.sub(",", text).strip(", "))
    return rules is not None and any(pattern.fullmatch(said) for pattern in rules.yes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    """The patterns of a language."""

    last: tuple[re.Pattern[str], ...]
    everything: tuple[re.Pattern[str], ...]
    about: tuple[re.Pattern[str], ...]
    begin: tuple[re.Pattern[str], ...]
    end: tuple[re.Pattern[str], ...]
    yes: tuple[re.Pattern[str], ...]
    determiner: re.Pattern[str]
    possessive: re.Pattern[str]
    pronoun: re.Pattern[str]


@cache
def _rules(language: str) -> _Rules | None:
    """Read and compiled when first asked for: 40 ms on a desktop core."""
    table = tomllib.loads(_RULES.read_text(encoding="utf-8")).get(language)
    if table is None:
        return None
    gap = "[ ,]+" if table["spaced"] else "[ ,]*"
    lead = f"(?:(?:{'|'.join(map(_pattern, table['lead']))}){gap})*"
    tail = f"(?:{gap}(?:{'|'.join(map(_pattern, table['tail']))}))*"

    def framed(kind: str) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(f"{lead}(?:{_pattern(each)}){tail}") for each in table[kind])

    def one_of(kind: str) -> re.Pattern[str]:
        return re.compile("|".join(table[kind]))

    return _Rules(
        last=framed("last"),
        everything=framed("everything"),
        about=framed("about"),
        begin=framed("begin"),
        end=framed("end"),
        yes=tuple(re.compile(_pattern(each)) for each in table["yes"]),
        determiner=one_of("determiners"),
        possessive=one_of("possessives"),
        pronoun=one_of("pronouns"),
    )


def _pattern(described: str) -> str:
    """A regular expression of what the file describes; an option brings its blank with it."""
    pattern = re.sub(r"\((?!\?)", "(?:", described.replace("[,]", ",?"))

    def option(found: re.Match[str]) -> str:
        before, what, after = found.groups()
        return f"{before}(?:(?:{what}){after})?" if after or not before else f"(?:{before}(?:{what}))?"

    while (simpler := _OPTION.sub(option, pattern)) != pattern:
        pattern = simpler
    for slot in ("about", "name"):
        pattern = pattern.replace(f"<{slot}>", f"(?P<{slot}>[^,]+?)")
    return pattern


def _request(rules: _Rules, said: str, sentence: str, *, is_all_said: bool) -> Request | None:
    if _any(rules.last, said):
        return ForgetLast(is_all_said=is_all_said)
    if _any(rules.everything, said):
        return ForgetEverything()
    if _any(rules.begin, said):
        return BeginIncognito()
    if _any(rules.end, said):
        return EndIncognito()
    for pattern in rules.about:
        if (found := pattern.fullmatch(said)) and (words := _words_about(rules, found, sentence)):
            return ForgetAbout(words=words)
    return None


def _words_about(rules: _Rules, found: re.Match[str], sentence: str) -> str | None:
    """What is to be forgotten, without its article; None where that is nothing one could look for."""
    groups = found.groupdict()
    given = (groups.get("about") or groups.get("name") or "").strip()
    first, _, rest = given.partition(" ")
    is_somebodys = bool(rest) and rules.possessive.fullmatch(first) is not None
    has_article = bool(rest) and rules.determiner.fullmatch(first) is not None
    words = rest.strip() if is_somebodys or has_article else given
    if not words or rules.pronoun.fullmatch(words) or len(words.split()) > _MOST_WORDS_ABOUT:
        return None
    if groups.get("name") and not is_somebodys:
        # Recognisers write names with capitals, and little else within a sentence.
        shown = re.search(rf"\b{re.escape(words)}\b", sentence, re.IGNORECASE)
        if has_article or not shown or not shown.group()[0].isupper():
            return None
    return words


def _any(patterns: Sequence[re.Pattern[str]], said: str) -> bool:
    return any(pattern.fullmatch(said) for pattern in patterns)


def _normal(sentence: str) -> str:
    """Lower case, one kind of apostrophe and of comma, no other punctuation, one blank at a time."""
    straight = sentence.lower().replace("\u2019", "'")
    return _NEITHER_LETTER_NOR_MARK.sub(" ", _COMMAS.sub(", ", straight)).strip(" ,'")


def _without_names(said: str, names: Sequence[str]) -> Iterator[str]:
    """The sentence without the name it is addressed to, at its beginning or end."""
    for name in names:
        called = re.escape(_normal(name))
        bare = re.sub(rf"^(?:(?:hey|hi|oh|hallo|hola|ok|okay) )?{called}[ ,]+|[ ,]+{called}$", "", said)
        if called and bare != said:
            yield bare
