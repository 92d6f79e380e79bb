"""Facts by the language model, in idle time: what to ask it, in which form, and what of its answer is believed.

Knows no model: it gives the words of a prompt and a JSON schema, takes an answer as text, and does the bookkeeping.
Only a person's own words are shown to the model, never replies and never what was recalled. Nothing it says is believed
unless the very words stand in the turn it cites, outside of questions, negations and play. What is left are mistakes of
understanding, and those of a small model are many: see `MIN_PARAMETERS`.
"""

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memory import fact_words as words
from memory import facts, progress, rows
from memory.clauses import plain_clauses
from memory.messages import Fact, Turn
from memory.relations import SPEAKER, fold
from memory.store import MemoryStore
from memory.times import is_on_calendar

MIN_PARAMETERS = 1_000_000_000
"""Of a model that may be asked. SmolLM2-135M fills the schema with the nouns of the examples: of 18 facts that it gave
for 30 utterances, 1 was right; the checks of `accepted` let 1 wrong one pass. From which size on answers are good was
not measured; 1B is a guess on the safe side, and asking is off unless somebody turns it on."""

MAX_TURNS = 3
"""In one batch. Small models mix up more; and a batch is the work that is lost when somebody speaks."""

_MAX_CHARS = 300
_MIN_WORDS = 4
_MAX_FACTS = 4
_MAX_OBJECT_CHARS = 40
_WORK = "model"
_NEXT = "SELECT id FROM turns WHERE person_id = ? AND character_id = ? AND id > ? ORDER BY id LIMIT ?"
_LOOK_AHEAD = 40
_NEGATED = r"\b(?:not|no|never|nobody|nothing|none|without|stop|stopped)\b|n't\b"
_OWN = r"\b(?:i|i'm|i've|my|me|mine|we|we're|we've|our|us)\b"

ASKED: Mapping[str, frozenset[str]] = {
    "likes": frozenset(),
    "dislikes": frozenset(),
    "fears": frozenset(),
    "wants": frozenset(),
    "plays": frozenset(),
    "allergic": frozenset(),
    "lives_in": frozenset(),
    "pet": words.PETS,
    "people": words.KIN,
    "toy": words.TOYS,
}
"""What the model is asked for, and the words of which its object must have one. Names, ages and birthdays are left to
rules: a wrong one is worse than none."""

_INSTRUCTIONS = (
    "You read what a person said and list the facts they told about themselves, as JSON. Copy the words of each fact "
    "exactly as they were said. Questions, jokes and things about others are not facts. If there is no fact, the list "
    "is empty."
)
_EXAMPLE = (
    "1. what time is it\n2. I have been scared of thunder since I was little\n3. for lunch I always ask for noodles",
    '{"facts":[{"line":2,"relation":"fears","object":"thunder"},{"line":3,"relation":"likes","object":"noodles"}]}',
)
_EXAMPLE_OF_NONE = ("1. can you sing a song\n2. that was funny", '{"facts":[]}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Turns of one pair to be read together, oldest first, and the turn up to which all is done after them."""

    person: str
    character: str
    turns: tuple[Turn, ...]
    last_turn_id: int


def next_batch(store: MemoryStore, person: str, character: str) -> Batch | None:
    """The next turns for the model to read, or None if all were read. What is too short to tell anything is skipped,
    and what was said at no time that a calendar has, which an older version took in."""

    def work(connection: sqlite3.Connection) -> tuple[Turn, ...]:
        pair = rows.find_pair(connection, person, character)
        if pair is None:
            return ()
        done = progress.done_up_to(connection, _WORK, pair)
        ids = [turn_id for (turn_id,) in connection.execute(_NEXT, (*pair, done, _LOOK_AHEAD))]
        return tuple(rows.turn(connection, turn_id) for turn_id in ids)

    ahead = store.read("look for what was said", work)
    telling = tuple(turn for turn in ahead if _tells(turn))[:MAX_TURNS]
    last = telling[-1] if len(telling) == MAX_TURNS else ahead[-1] if ahead else None
    if last is None or last.turn_id is None:
        return None
    return Batch(person=person, character=character, turns=telling, last_turn_id=last.turn_id)


def finish(store: MemoryStore, batch: Batch, found: Sequence[Fact], at: float) -> None:
    """Record what was accepted of a batch and that it is read, in one transaction; `at` is now, since 1970."""

    def work(connection: sqlite3.Connection) -> None:
        pair = rows.find_pair(connection, batch.person, batch.character)
        if pair is not None:  # else all of it was forgotten meanwhile
            facts.record_within(connection, batch.person, batch.character, found, at)
            progress.advance(connection, _WORK, pair, batch.last_turn_id)

    store.write("remember facts", work)


def messages(batch: Batch) -> tuple[tuple[str, str], ...]:
    """The prompt as (role, text), with the roles system, user and assistant. A batch without turns needs no asking."""
    lines = [f"{n}. {_clipped(turn.user_text)}" for n, turn in enumerate(batch.turns, 1)]
    return (
        ("system", _INSTRUCTIONS),
        ("user", _EXAMPLE[0]),
        ("assistant", _EXAMPLE[1]),
        ("user", _EXAMPLE_OF_NONE[0]),
        ("assistant", _EXAMPLE_OF_NONE[1]),
        ("user", "\n".join(lines)),
    )


def schema(batch: Batch) -> dict[str, Any]:
    """The JSON schema of an answer to `messages`: at most four facts, and a few hundred characters in all."""
    fact = {
        "type": "object",
        "properties": {
            "line": {"enum": list(range(1, len(batch.turns) + 1))},
            "relation": {"enum": list(ASKED)},
            "object": {"type": "string", "minLength": 2, "maxLength": _MAX_OBJECT_CHARS},
        },
        "required": ["line", "relation", "object"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"facts": {"type": "array", "items": fact, "maxItems": _MAX_FACTS}},
        "required": ["facts"],
        "additionalProperties": False,
    }


def accepted(answer: str, turns: Sequence[Turn], known: Sequence[Fact] = ()) -> tuple[Fact, ...]:
    """What of the model's `answer` about `turns` is believed; nothing of an answer that is not of the schema.

    `known`: facts that are known of these turns already, by rules say, which are not found again.
    """
    taken: list[Fact] = []
    for line, relation, thing in _answered(answer):
        if not 1 <= line <= len(turns) or relation not in ASKED:
            continue
        fact = _believed(turns[line - 1], relation, thing)
        if fact is not None and not any(_is_known(fact, each) for each in (*known, *taken)):
            taken.append(fact)
    return tuple(taken)


def _tells(turn: Turn) -> bool:
    return len(turn.user_text.split()) >= _MIN_WORDS and is_on_calendar(turn.said_at)


def _answered(answer: str) -> list[tuple[int, str, str]]:
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError):
        return []
    items = parsed.get("facts") if isinstance(parsed, dict) else None
    found = []
    for item in items if isinstance(items, list) else ():
        match item:
            case {"line": int(line), "relation": str(relation), "object": str(thing)}:
                found.append((line, relation, thing))
    return found


def _believed(turn: Turn, relation: str, thing: str) -> Fact | None:
    """The fact with the words as they were said, if they were said as so."""
    tokens = fold(thing).split()
    if turn.turn_id is None or not tokens or len(thing) > _MAX_OBJECT_CHARS or tokens[0] in words.BAD_FIRST:
        return None
    if ASKED[relation] and not ASKED[relation] & set(tokens):
        return None
    pattern = rf"(?<!\w){' '.join(re.escape(token) for token in tokens)}(?!\w)"  # clauses have single spaces
    for clause in plain_clauses(turn.user_text):
        said = re.search(pattern, clause.low)
        if said is None or not re.search(_OWN, clause.low) or re.search(_NEGATED, clause.low[: said.start()]):
            continue
        shown = clause.shown[said.start() : said.end()]
        return Fact(
            subject=SPEAKER,
            relation=relation,
            object=shown,
            valid_from=turn.said_at,
            recorded_from=turn.said_at,
            source="model",
            turn_ids=(turn.turn_id,),
        )
    return None


def _is_known(fact: Fact, known: Fact) -> bool:
    """Whether the same words were made a fact already, of whatever relation: rules are the more exact."""
    same_turn = bool(set(fact.turn_ids) & set(known.turn_ids))
    return same_turn and (fold(fact.object) in fold(known.object) or fold(known.object) in fold(fact.object))


def _clipped(text: str) -> str:
    """On one line, so that nobody can add lines to the list by what they say."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_CHARS else line[:_MAX_CHARS].rsplit(" ", 1)[0]
