"""What can be known of somebody: a closed list of relations, how facts contradict each other, and facts as sentences.

Pure. `memory.facts` stores by these rules, `memory.fact_rules` and `memory.extraction` make facts of these relations.
The subject of a fact is `SPEAKER`, a kind of person or animal that is the speaker's ("sister"), or a name ("Lena").
"""

import re
from calendar import isleap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from memory.fact_words import KIN, NUMBERS, PETS
from memory.messages import Fact

SPEAKER = "speaker"
"""The subject of what people say of themselves."""

_CALLED = " called "


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """`one`: only the newest holds. `constant`: it never changes in the world, so another value mends an error.

    `you` and `name` are sentences about the speaker spoken to, and about anybody else; {whose}, {who} and {it}, the
    object, are filled in. `opposite` is the relation that cannot hold of the same object.
    """

    you: str
    name: str
    one: bool = False
    constant: bool = False
    opposite: str | None = None


def _relation(you: str, name: str | None = None, *, one: bool = False, opposite: str | None = None) -> Relation:
    return Relation(you=you, name=name or you, one=one, opposite=opposite)


RELATIONS: Mapping[str, Relation] = {
    "name": Relation(you="{whose} name is {it}", name="{whose} name is {it}", one=True, constant=True),
    "birthday": Relation(you="{whose} birthday is {it}", name="{whose} birthday is {it}", one=True, constant=True),
    "age": _relation("you are {it} years old", "{who} is {it} years old", one=True),
    "people": _relation("you have {it}", "{who} has {it}"),
    "pet": _relation("you have {it}", "{who} has {it}"),
    "toy": _relation("you have {it}", "{who} has {it}"),
    "likes": _relation("you like {it}", "{who} likes {it}", opposite="dislikes"),
    "dislikes": _relation("you do not like {it}", "{who} does not like {it}", opposite="likes"),
    "favourite": _relation("{whose} favourite {it}", one=True),
    "fears": _relation("you are afraid of {it}", "{who} is afraid of {it}"),
    "allergic": _relation("you are allergic to {it}", "{who} is allergic to {it}"),
    "lives_in": _relation("you live in {it}", "{who} lives in {it}", one=True),
    "school": _relation("you go to {it}", "{who} goes to {it}", one=True),
    "grade": _relation("you are in {it}", "{who} is in {it}", one=True),
    "plays": _relation("you play {it}", "{who} plays {it}"),
    "lost": _relation("{whose} {it} died"),
    "plan": _relation('{whose} plan: "{it}"'),
    "knows": _relation("you know {it}", "{who} knows {it}"),
    "believes": _relation("you believe {it}", "{who} believes {it}"),
    "wants": _relation("you want {it}", "{who} wants {it}"),
    "feels": _relation("you felt {it}", "{who} felt {it}"),
    "keeps_from": _relation("you keep a secret from {it}", "{who} keeps a secret from {it}"),
}

Bearing = Literal["same", "refines", "replaces", "corrects"]
"""How a fact bears on one that holds: says it again, says it more exactly, ends it, or says it never was so."""


def bearing(new: Fact, old: Fact) -> Bearing | None:
    """How `new`, said later, bears on `old`, which is believed; None if both may hold."""
    if fold(new.subject) != fold(old.subject):
        return None
    relation = RELATIONS[new.relation]
    if new.relation != old.relation:
        opposed = relation.opposite == old.relation and fold(new.object) == fold(old.object)
        return "replaces" if opposed else None
    if fold(new.object) == fold(old.object):
        if new.day == old.day or new.day is None:
            return "same"
        return "refines" if old.day is None else None
    kind, name = kind_and_name(new.object)
    old_kind, old_name = kind_and_name(old.object)
    if kind == old_kind and (name is None or old_name is None) and (name or old_name):
        return "same" if name is None else "refines"
    if relation.one and topic(new) == topic(old):
        return "corrects" if relation.constant else "replaces"
    return None


def ends(ending: Fact, old: Fact) -> bool:
    """Whether `ending`, which says that something is over or never was so, speaks of `old`."""
    if ending.relation != old.relation or fold(ending.subject) != fold(old.subject):
        return False
    if ending.relation == "keeps_from":
        (whom, what), (old_whom, old_what) = whom_and_what(ending), whom_and_what(old)
        return (not whom or fold(whom) == fold(old_whom)) and set(fold(what).split()) <= set(fold(old_what).split())
    kind, name = kind_and_name(ending.object)
    old_kind, old_name = kind_and_name(old.object)
    return fold(ending.object) == fold(old.object) or (kind == old_kind and (name is None or old_name is None))


def kind_and_name(thing: str) -> tuple[str, str | None]:
    """ "dog called Rex" as ("dog", "rex"), for comparing: both folded; the name is None where there is none."""
    kind, _, name = thing.partition(_CALLED)
    return fold(kind), fold(name) or None


def called(kind: str, name: str | None) -> str:
    """The object of a fact about somebody or something of a kind, with a name or without."""
    return f"{kind}{_CALLED}{name}" if name else kind


def whom_and_what(secret: Fact) -> tuple[str, str]:
    """From whom something is kept, and the words of it: "mum: we have a party" as ("mum", "we have a party")."""
    whom, _, what = secret.object.partition(": ")
    return whom.removesuffix(":"), what


def topic(fact: Fact) -> str:
    """What there is only one of: the colour in "colour: blue", nothing elsewhere."""
    return fold(fact.object.partition(": ")[0]) if fact.relation == "favourite" else ""


def fold(text: str) -> str:
    """`text` for comparing: no case, no article, single spaces."""
    return re.sub(r"^(?:an?|the|my|our) ", "", " ".join(text.casefold().split()))


def sentence(fact: Fact, person: str | None = None) -> str:
    """The fact for people and prompts: spoken to the person ("Your dog is called Rex.") or, with the name of the
    person, about them ("Anna's dog is called Rex."). A plan or a thought is quoted in the person's own words."""
    own = fact.subject == SPEAKER
    to_you = own and person is None
    whose, who = _whose_and_who(fact.subject, person)
    kind, calls, name = fact.object.partition(_CALLED)
    if calls and fact.relation in {"people", "pet", "toy"}:
        text = f"{whose} {kind} is called {name}"
    elif calls and fact.relation == "lost":
        text = f"{whose} {kind} {name} died"
    else:
        relation = RELATIONS[fact.relation]
        text = (relation.you if to_you else relation.name).format(whose=whose, who=who, it=_shown_object(fact, to_you))
    return text[0].upper() + text[1:] + "."


def sentence_of_day(fact: Fact, today: date, person: str | None = None) -> str:
    """What a birthday or a plan, today or tomorrow, is said to be: "Tomorrow is Tom's birthday."."""
    word = "Today" if fact.day is not None and falls_on(fact.day, today) else "Tomorrow"
    whose, _ = _whose_and_who(fact.subject, person)
    if fact.relation == "birthday":
        return f"{word} is {whose} birthday."
    return f'{word} is the day of {whose} plan: "{fact.object}".'


def is_day(day: str) -> bool:
    """Whether `day` is of one of the two forms of a fact's day, and in the calendar."""
    if not re.fullmatch(r"(?:[0-9]{4}-)?[0-9]{2}-[0-9]{2}", day):
        return False
    try:
        date.fromisoformat(day if len(day) == len("YYYY-MM-DD") else f"2000-{day}")  # a leap year
    except ValueError:
        return False
    return True


def falls_on(day: str, on: date) -> bool:
    """Whether a fact's `day` is that of `on`. Whoever was born on February 29 has a birthday on the 28th else."""
    if len(day) == len("YYYY-MM-DD"):
        return day == on.isoformat()
    leap_day_moved = day == "02-29" and (on.month, on.day) == (2, 28) and not isleap(on.year)
    return day == f"{on:%m-%d}" or leap_day_moved


def _whose_and_who(subject: str, person: str | None) -> tuple[str, str]:
    if subject == SPEAKER:
        return (f"{person}'s", person) if person else ("your", "you")
    if subject.rpartition(" ")[2] in KIN | PETS:
        who = f"{person}'s {subject}" if person else f"your {subject}"
        return f"{who}'s", who
    return f"{subject}'s", subject


def _shown_object(fact: Fact, to_you: bool) -> str:
    if fact.relation == "favourite":
        return " is ".join(fact.object.split(": ", 1))
    if fact.relation == "plan":
        return fact.object
    if fact.relation == "keeps_from":
        whom, what = whom_and_what(fact)
        return f'{whom}: "{what}"' if what else whom
    shown = re.sub(r"\b(?:my|our)\b", "your" if to_you else "their", fact.object)
    if fact.relation in {"people", "pet", "toy"}:
        return _with_article(shown)
    return shown


def _with_article(thing: str) -> str:
    words = thing.split()
    if (
        not words  # in a file that an older version took in
        or words[0] in NUMBERS
        or words[0] in {"a", "an", "the", "your", "their"}
        or (words[-1].endswith("s") and words[-1][:-1] in KIN | PETS)
    ):
        return thing
    return f"{'an' if words[0][0] in 'aeio' else 'a'} {thing}"
