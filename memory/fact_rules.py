"""Facts by rule: what a person plainly says of themselves and theirs, from the words of one turn. Pure and exact.

Takes the person's own words, never the character's and never what was recalled; gives facts for `memory.facts.record`.
A rule fits a whole clause of `memory.clauses` or not at all: a toy that says a wrong name is worse than one that asks.
The rules are English; in other languages nothing is found. What needs understanding is left to `memory.extraction`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial

from memory import fact_words as words
from memory.clauses import Clause, plain_clauses
from memory.fact_patterns import KIND, NUMBER, PATTERNS, PLANNED
from memory.messages import Fact
from memory.relations import SPEAKER, called
from memory.when import TimeSpan, time_spans

MAX_FACTS = 12
"""Of one turn: who tells more is reading something out."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
    *("November", "December"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a rule found. `over`: it is so no longer; `wrong`: it never was."""

    relation: str
    object: str
    subject: str = SPEAKER
    day: str | None = None
    over: bool = False
    wrong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A clause that a rule fits: the groups of its pattern in lower case, and as written."""

    clause: Clause
    match: re.Match[str]
    at: datetime

    def low(self, group: str) -> str | None:
        return self.match[group]

    def shown(self, group: str) -> str:
        return self.clause.shown[self.match.start(group) : self.match.end(group)]


def facts_said(text: str, at: datetime, turn_id: int) -> tuple[Fact, ...]:
    """The facts in `text`, a person's words of turn `turn_id`, said at `at` in that person's own time.

    A fact with `valid_to` says that it is over; one with `recorded_to`, that it never was so.
    """
    found: list[Found] = []
    for clause in plain_clauses(text):
        found += [each for each in _found(clause, at) if each not in found]
    return tuple(_fact(each, at.timestamp(), turn_id) for each in found[:MAX_FACTS])


def _fact(found: Found, at_s: float, turn_id: int) -> Fact:
    return Fact(
        subject=found.subject,
        relation=found.relation,
        object=found.object,
        day=found.day,
        valid_from=None if found.over else at_s,
        valid_to=at_s if found.over else None,
        recorded_from=at_s,
        recorded_to=at_s if found.wrong else None,
        turn_ids=(turn_id,),
    )


def _found(clause: Clause, at: datetime) -> list[Found]:
    """What the first rule finds that fits and finds something."""
    for pattern, rule in _rules():
        if (match := pattern.fullmatch(clause.low)) and (found := list(rule(Said(clause=clause, match=match, at=at)))):
            return found
    return []


# What the rules find; each gives nothing where the words in its groups are not of the kind it needs.


def _own_name(said: Said) -> Iterator[Found]:
    if said.low("hello") and not (said.clause.greets and said.clause.cased):
        return  # "hi I'm Tom", but "hi i'm exhausted" from a recognizer that writes no capitals
    if name := _name(said, "name"):
        yield Found(relation="name", object=name)
        if said.low("wrong") and (wrong := _name(said, "wrong")):
            yield Found(relation="name", object=wrong, wrong=True)


def _own_age(said: Said) -> Iterator[Found]:
    age = _number(said.low("n"))
    if age is None or (age == 1 and not said.low("years")):
        return
    yield Found(relation="age", object=str(age))
    day = said.low("day")
    if day and (span := _one_day(day, said.at)):
        yield _birthday(SPEAKER, span)


def _turns_age(said: Said) -> Iterator[Found]:
    if _number(said.low("n")) and (span := _one_day(said.low("time") or "", said.at)):
        yield _birthday(SPEAKER, span)


def _their_age(said: Said) -> Iterator[Found]:
    age, subject = _number(said.low("n")), _subject(said)
    if age and subject and (said.low("kind") or said.low("years")):
        yield Found(relation="age", object=str(age), subject=subject)


def _own_birthday(said: Said) -> Iterator[Found]:
    if span := _one_day(said.low("time") or said.low("time2") or "", said.at):
        yield _birthday(SPEAKER, span)


def _their_birthday(said: Said) -> Iterator[Found]:
    subject = _subject(said)
    if subject and (span := _one_day(said.low("time") or "", said.at)):
        yield _birthday(subject, span)


def _named(said: Said) -> Iterator[Found]:
    """ "My dog is called Rex", and "my sister's name is Lena not Lina"."""
    kind, name = _kind(said.low("kind")), _name(said, "name")
    if kind and name:
        yield Found(relation=_kind_relation(kind), object=called(kind, name))
        if said.low("wrong") and (wrong := _name(said, "wrong")):
            yield Found(relation=_kind_relation(kind), object=called(kind, wrong), wrong=True)


def _introduced(said: Said) -> Iterator[Found]:
    """ "My sister Lena likes cake": a name, and what follows may be a fact about it."""
    yield from _named(said)
    if name := _name(said, "name"):
        start = said.match.start("name")
        rest = Clause(low=said.clause.low[start:], shown=name + said.clause.shown[said.match.end("name") :], cased=True)
        yield from (found for found in _found(rest, said.at) if found.subject == name)


def _has(said: Said) -> Iterator[Found]:
    low, start = said.low("items") or "", said.match.start("items")
    found = []
    for item in re.finditer(r"(?:^| and (?:also )?)(?P<thing>.+?)(?=$| and )", low):
        shown = said.clause.shown[start + item.start("thing") : start + item.end("thing")]
        found.append(_had_thing(item["thing"], shown, cased=said.clause.cased))
    if all(found):
        yield from (each for each in found if each)


def _had_thing(low: str, shown: str, *, cased: bool) -> Found | None:
    """ "a dog called Rex" and "two cats", but no dog costume."""
    form = rf"(?:(?P<article>an? )|(?P<n>{NUMBER} ))?(?:new )?(?P<kind>{KIND})(?: (?:called|named) (?P<name>.+))?"
    match = re.fullmatch(form, low)
    kind = _kind(match["kind"]) if match else None
    if match is None or kind is None:
        return None
    is_many = kind.endswith("s") or kind in words.SAME_IN_PLURAL
    if match["article"] is None and not is_many:
        return None
    name = _proper(match["name"], shown[match.start("name") :], cased=cased) if match["name"] else None
    if match["name"] and name is None:
        return None
    return Found(relation=_kind_relation(kind), object=called((match["n"] or "") + kind, name))


def _has_no_more(said: Said) -> Iterator[Found]:
    if kind := _kind(said.low("kind")):
        yield Found(relation=_kind_relation(kind), object=kind, over=True)


def _is_mine(said: Said) -> Iterator[Found]:
    kind, name = _kind(said.low("kind")), _name(said, "name")
    if kind and name:
        yield Found(relation=_kind_relation(kind), object=called(kind, name))


def _things(said: Said, *, relation: str, over: bool = False, persons: bool = False) -> Iterator[Found]:
    things = re.split(r" and (?:also )?| or ", said.shown("thing"))
    subject = _subject(said)
    if said.match.groupdict().get("who") and not said.clause.cased:
        return  # "music likes"
    trusted = said.clause.trusted_words
    if trusted is not None and len(said.shown("thing").split()) > trusted:
        return
    if subject and all(_is_thing(thing.lower(), persons=persons) for thing in things):
        yield from (Found(relation=relation, object=thing, subject=subject, over=over) for thing in things)


def _favourite(said: Said) -> Iterator[Found]:
    thing, topic = said.shown("thing"), (said.low("topic") or "").replace("color", "colour")
    if words.BAD_ANYWHERE & set(topic.split()) or topic in {"thing", "one", "part", "thing to do"}:
        return
    if _is_thing(thing.lower().removeprefix("the "), persons=True):
        yield Found(relation="favourite", object=f"{topic}: {thing}")


def _lives_in(said: Said) -> Iterator[Found]:
    place = said.low("place") or ""
    if place.split()[0] not in {"a", "an", "the", "my", "our", "your", "this", "here", "there"} and len(place) > 2:
        proper = _proper(place, said.shown("place"), cased=said.clause.cased, n_words=3)
        if proper:
            yield Found(relation="lives_in", object=proper)


def _school(said: Said) -> Iterator[Found]:
    if early := said.low("early"):
        yield Found(relation="school", object=early)
        return
    group = "school" if said.low("school") else "name"
    if name := _proper(said.low(group) or "", said.shown(group), cased=said.clause.cased, n_words=3):
        yield Found(relation="school", object=name)


def _grade(said: Said) -> Iterator[Found]:
    yield Found(relation="grade", object=said.low("grade") or "")


def _plays(said: Said) -> Iterator[Found]:
    things = re.split(r" and ", said.low("things") or "")
    if all(thing.removeprefix("the ") in words.PLAYED for thing in things):
        yield from (Found(relation="plays", object=thing) for thing in things)


def _died(said: Said) -> Iterator[Found]:
    kind = _kind(said.low("kind"))
    name = _name(said, "name") if said.low("name") else None
    if kind is None or (said.low("name") and name is None):
        return
    yield Found(relation="lost", object=called(kind, name))
    if _kind_relation(kind) == "pet":
        yield Found(relation="pet", object=called(kind, name), over=True)


def _plan(said: Said) -> Iterator[Found]:
    """ "On Friday I have a test": a clause in the first person with one day to come."""
    low = said.clause.low
    spans = time_spans(low, said.at, "future")
    if len(spans) != 1 or spans[0].start.date() < said.at.date() or not _is_one_day(spans[0]):
        return
    words_of_time = re.escape(spans[0].words)
    what = re.sub(rf"^(?:and )?{words_of_time} (?:and )?|(?: and)? {words_of_time}$", "", low)
    is_whole = not re.search(r" (?:for|to|at|in|on|and|with|of|the|a)$", what)
    if what != low and is_whole and re.fullmatch(PLANNED, what) and len(what.split()) <= 12:
        yield Found(relation="plan", object=what, day=f"{spans[0].start:%Y-%m-%d}")


# What stands in the groups.


def _is_thing(thing: str, *, persons: bool = False) -> bool:
    """Whether somebody can like it for longer than a moment, as far as a few words tell."""
    tokens = thing.split()
    if not 1 <= len(tokens) <= 5 or tokens[0] in words.BAD_FIRST or words.BAD_ANYWHERE & set(tokens):
        return False
    if tokens[0] == "to" and (len(tokens) == 1 or tokens[1] in words.THOUGHTS):
        return False
    if tokens[0] in {"my", "our"}:
        return persons and len(tokens) > 1
    return tokens[0] != "the" or tokens[1:2] == [] or tokens[1] in words.KNOWN_TO_ALL


def _subject(said: Said) -> str | None:
    groups = said.match.groupdict()
    if groups.get("kind"):
        return _kind(groups["kind"])
    return _name(said, "who") if groups.get("who") else SPEAKER


def _kind(kind: str | None) -> str | None:
    """A kind of person, animal or toy with what tells it from others: "little sister"."""
    tokens = (kind or "").split()
    while tokens and tokens[0] in words.KIND_QUALITIES - words.KEPT_QUALITIES:
        tokens = tokens[1:]
    tokens = [words.SAME_KIND.get(token, token) for token in tokens]
    return " ".join(tokens) or None


def _kind_relation(kind: str) -> str:
    for length in (2, 1):
        noun = " ".join(kind.split()[-length:])
        for relation, nouns in (("people", words.KIN), ("pet", words.PETS), ("toy", words.TOYS)):
            if noun in nouns:
                return relation
    return "toy"


def _name(said: Said, group: str) -> str | None:
    return _proper(said.low(group) or "", said.shown(group), cased=said.clause.cased)


def _proper(low: str, shown: str, *, cased: bool, n_words: int = 2) -> str | None:
    """A name as it is written, or None if these words are none. In text without capitals it gets its own."""
    tokens = low.split()
    has_title = len(tokens) > 1 and tokens[0] in words.TITLES
    if not 1 <= len(tokens) <= n_words or any(token in words.NOT_NAMES for token in tokens[has_title:]):
        return None
    if any(not token.replace("-", "").replace("'", "").isalpha() or len(token) > 20 for token in tokens):
        return None
    if cased and not has_title and not all(token[0].isupper() or not token[0].islower() for token in shown.split()[:1]):
        return None
    if low.endswith(("ing", "ly")) and not cased and len(low) > 5:
        return None
    return " ".join(token if _is_written_name(token) else token.capitalize() for token in shown.split())


def _is_written_name(token: str) -> bool:
    return token[0].isupper() and not (token.isupper() and len(token) > 1)


def _number(word: str | None) -> int | None:
    n = int(word) if word and word.isdecimal() else words.NUMBERS.get(word or "")
    return n if n is not None and 1 <= n <= 120 else None


def _one_day(text: str, at: datetime) -> TimeSpan | None:
    """The day that `text` is, if it is one and nothing else."""
    spans = time_spans(text, at, None if re.match("yesterday|last", text) else "future")
    return spans[0] if len(spans) == 1 and spans[0].words == text and _is_one_day(spans[0]) else None


def _is_one_day(span: TimeSpan) -> bool:
    return span.end - span.start <= timedelta(hours=25)  # the day on which the clocks go back


def _birthday(subject: str, span: TimeSpan) -> Found:
    day = f"{_MONTHS[span.start.month - 1]} {span.start.day}"
    return Found(relation="birthday", object=day, subject=subject, day=f"{span.start:%m-%d}")


_RULES: Mapping[str, Callable[[Said], Iterator[Found]]] = {
    "own_name": _own_name,
    "own_age": _own_age,
    "turns_age": _turns_age,
    "their_age": _their_age,
    "own_birthday": _own_birthday,
    "their_birthday": _their_birthday,
    "named": _named,
    "introduced": _introduced,
    "has": _has,
    "has_no_more": _has_no_more,
    "is_mine": _is_mine,
    "likes": partial(_things, relation="likes", persons=True),
    "dislikes": partial(_things, relation="dislikes"),
    "used_to_like": partial(_things, relation="likes", over=True),
    "fears": partial(_things, relation="fears"),
    "fears_no_more": partial(_things, relation="fears", over=True),
    "allergic": partial(_things, relation="allergic"),
    "favourite": _favourite,
    "lives_in": _lives_in,
    "school": _school,
    "grade": _grade,
    "plays": _plays,
    "died": _died,
    "plan": _plan,
}


@lru_cache(maxsize=1)
def _rules() -> tuple[tuple[re.Pattern[str], Callable[[Said], Iterator[Found]]], ...]:
    return tuple((re.compile(rf"(?:{pattern}){words.TAIL}"), _RULES[rule]) for pattern, rule in PATTERNS)
