"""What is remembered, as the commands `familiar memory show` and `search` show it: as data, and as text of 80 columns.

Data are lists of JSON values, the same for programs and for the text. Words of people are shown as they are, never
taken for markup, and steer no terminal.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from device.display import shown as on_one_line
from device.settings import UNNAMED_PERSON
from memory import facts, overview
from memory import moods as mood_store
from memory.messages import Query, Turn
from memory.relations import sentence
from memory.store import MemoryStore

Record = dict[str, Any]
_Pairs = Sequence[tuple[str, str]]

_STIMULI_SHOWN = 5
_ESCAPED = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
"""Control codes that JSON need not escape."""

_QUOTED = 2
"""Words that a fact is shown to come from: the last two times it was said."""


def known_facts(store: MemoryStore, pairs: _Pairs) -> list[Record]:
    """What is known, also what is over, with the words it came from."""
    shown = []
    for person, character in pairs:
        for fact in facts.history(store, person, character):
            said = overview.turns(store, person, character, fact.turn_ids[-_QUOTED:])
            name = None if person == UNNAMED_PERSON else person
            record = {"person": person, "character": character, "sentence": sentence(fact, name), **asdict(fact)}
            record["from"] = [{"turn": turn.turn_id, "said_at": turn.said_at, "text": turn.user_text} for turn in said]
            shown.append(record)
    return shown


def last_turns(store: MemoryStore, pairs: _Pairs, limit: int) -> list[Record]:
    """The last turns of all these pairs together, oldest first."""
    turns = [turn for person, character in pairs for turn in store.last_turns(person, character, limit)]
    return [asdict(turn) for turn in sorted(turns, key=_number)[-limit:]]


def told_summaries(store: MemoryStore, pairs: _Pairs) -> list[Record]:
    """What the episodes of these pairs were about."""
    return [
        {"person": person, "character": character, **asdict(summary)}
        for person, character in pairs
        for summary in overview.summaries(store, person, character)
    ]


def moods(store: MemoryStore, character: str | None) -> list[Record]:
    """The moods of this character, or of all that have one, and what their bodies felt last."""
    _, characters = overview.names(store)
    shown = []
    for name in characters if character is None else (character,):
        mood = mood_store.load_mood(store, name)
        stimuli = mood_store.last_stimuli(store, name, _STIMULI_SHOWN)
        if mood is not None or stimuli:
            shown.append(
                {
                    "character": name,
                    "mood": asdict(mood) if mood else None,
                    "stimuli": [asdict(stimulus) for stimulus in stimuli],
                }
            )
    return shown


def found(store: MemoryStore, pairs: _Pairs, words: str, at: datetime, *, limit: int) -> list[Record]:
    """What recall finds for these words, best first, without the gate that drops what is not worth saying."""
    hits = [
        {
            "person": person,
            "character": character,
            "kind": item.kind,
            "turn": item.turn.turn_id if item.turn else None,
            "said_at": item.said_at,
            "by": (character if item.in_reply else person) if item.turn else None,
            "text": item.text,
            "score": item.score,
            "why": item.why,
        }
        for person, character in pairs
        for item in store.recall(person, character, Query(text=words, at=at, limit=limit, gate=False))
    ]
    return sorted(hits, key=lambda hit: -hit["score"])


def as_json(facts: Mapping[str, object]) -> str:
    """Data for programs, without control codes either: a terminal may be all that reads them."""
    return json.dumps(facts, indent=2, ensure_ascii=False).translate(_ESCAPED)


def render(shown: dict[str, list[Record]], path: Path) -> None:
    """Print what the functions above gave, by the name of each."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    for kind, records in shown.items():
        if not records:
            console.print(Text(_NOTHING[kind]))
        heading = ""
        for record in records:
            between = f"{record['person']} and {record['character']}" if kind in ("facts", "summaries") else ""
            if between != heading:
                console.print(Text(on_one_line(between), style="bold"))
            heading = between
            first, *rest = _LINES[kind](record)
            console.print(Text(on_one_line(first)))
            for line in rest:
                console.print(Padding(Text(on_one_line(line), style="dim"), (0, 0, 0, 6)))
    if "known" in shown:
        console.print(Text(f"{path}, {path.stat().st_size / 1e6:.1f} MB", style="dim"))


def _known_lines(record: Record) -> list[str]:
    of_each = ((record["n_turns"], "turn", "turns"), (record["n_facts"], "fact", "facts"))
    counts = ", ".join(
        f"{n} {one if n == 1 else many}" for n, one, many in (*of_each, (record["n_summaries"], "summary", "summaries"))
    )
    since = f"; from {_day(record['first_at'])} to {_day(record['last_at'])}" if record["first_at"] is not None else ""
    return [f"{record['person']} and {record['character']}: {counts}{since}"]


def _fact_lines(record: Record) -> list[str]:
    day = f" ({record['day']})" if record["day"] else ""
    lines = [f"{record['fact_id']:>5} {record['sentence']}{day}"]
    since = _day(record["valid_from"] if record["valid_from"] is not None else record["recorded_from"])
    over = f", until {_day(record['valid_to'])}" if record["valid_to"] is not None else ""
    wrong = f", not believed any more since {_day(record['recorded_to'])}" if record["recorded_to"] is not None else ""
    told = {"rule": "", "model": ", found by the model", "person": ", put right by a person"}[record["source"]]
    lines.append(f"since {since}{over}{wrong}{told}")
    lines += [f'turn {source["turn"]}, {_day(source["said_at"])}: "{source["text"]}"' for source in record["from"]]
    return lines


def _turn_lines(record: Record) -> list[str]:
    lines = [f"{record['turn_id']:>5} {_minute(record['said_at'])}"]
    if record["user_text"]:
        lines.append(f"{record['person']}: {record['user_text']}")
    if record["reply_text"]:
        lines.append(f"{record['character']}: {record['reply_text']}" + (" (cut off)" if record["interrupted"] else ""))
    return lines


def _summary_lines(record: Record) -> list[str]:
    turns = f"turns {record['first_turn_id']} to {record['last_turn_id']}"
    return [f"{record['summary_id']:>5} {turns}, made {_day(record['made_at'])}", record["text"]]


def _mood_lines(record: Record) -> list[str]:
    mood = record["mood"]
    lines = [f"{record['character']} has no mood yet"]
    if mood:
        values = ", ".join(f"{name} {mood[name]:+.2f}" for name in ("pleasure", "arousal", "dominance"))
        lines = [f"{record['character']}: {values}, {_minute(mood['felt_at'])}"]
    lines += [f"{_minute(each['happened_at'])} {each['kind']} {each['strength']:.2f}" for each in record["stimuli"]]
    return lines


def _found_lines(record: Record) -> list[str]:
    where = f"turn {record['turn']}" if record["turn"] is not None else record["kind"]
    by = f"{record['by']}: " if record["by"] else ""
    lines = [f"{_minute(record['said_at'])} {where}, {record['person']} and {record['character']}"]
    return [*lines, f"{by}{record['text']}", f"found by {record['why']}"]


_LINES = {
    "known": _known_lines,
    "facts": _fact_lines,
    "turns": _turn_lines,
    "summaries": _summary_lines,
    "moods": _mood_lines,
    "found": _found_lines,
}
_NOTHING = {
    "known": "nobody is known yet",
    "facts": "nothing is known yet",
    "turns": "nothing was said yet",
    "summaries": "no conversation is summarised yet",
    "moods": "there is no mood yet",
    "found": "nothing was found",
}


def _number(turn: Turn) -> int:
    return turn.turn_id or 0


def _day(seconds: float) -> str:
    return _local(seconds, "%Y-%m-%d")


def _minute(seconds: float) -> str:
    return _local(seconds, "%Y-%m-%d %H:%M")


def _local(seconds: float, form: str) -> str:
    """The time on this machine's clock; the bare number where no calendar has it."""
    try:
        return datetime.fromtimestamp(seconds).astimezone().strftime(form)
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g} s"
