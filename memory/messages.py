"""The vocabulary of `memory`: frozen messages between the store and whoever remembers with it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One exchange, verbatim: what the person said and what they heard in reply, not what was generated.

    `turn_id` is None until the turn is committed, then rises with the order of commits over the whole store.
    `said_at` is when the person said it, in seconds since 1970 (UTC); it may run backwards, since a board without a
    clock battery wakes up in the past: order is told by `turn_id` alone. `interrupted` says that the reply was cut off.
    Either text may be empty: the character spoke first, or was interrupted before a word was heard.
    """

    turn_id: int | None = None
    conversation_id: int
    person: str
    character: str
    user_text: str
    reply_text: str
    said_at: float
    interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What an encoder made of one utterance: of the person's words of a turn, or of the reply (`in_reply`).

    `embedding`: the unit vector as `memory.vectors.packed` makes it, one int8 for each dimension; `feelings`: one
    uint8 for each emotion, 255 for certain; `importance` between 0 and 1, before any decay.
    """

    turn_id: int
    in_reply: bool
    embedding: bytes
    feelings: bytes
    importance: float


FactSource = Literal["rule", "model", "person"]
"""Who made a fact of somebody's words: a rule, the language model in idle time, or a person who corrected it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something a person said that is so, with the turns they said it in.

    Times are seconds since 1970 (UTC), None where open: `valid_*` says when it was so in the world, `recorded_*` from
    when to when it was believed. `day` is 'MM-DD' for what comes back every year, 'YYYY-MM-DD' for what is on one day.
    """

    fact_id: int | None = None
    subject: str
    relation: str
    object: str
    day: str | None = None
    valid_from: float | None = None
    valid_to: float | None = None
    recorded_from: float
    recorded_to: float | None = None
    source: FactSource = "rule"
    turn_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What an episode was about: all turns of one person and one character from the first to the last."""

    summary_id: int | None = None
    first_turn_id: int
    last_turn_id: int
    text: str
    made_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stimulus:
    """What the body felt: `kind` is a word such as touched, carried, dark, low_battery; `strength` from 0 to 1."""

    kind: str
    strength: float
    happened_at: float


Strategy = Literal["none", "c-a", "c-m", "s-c", "s-s"]
"""How feelings count in recall, after Emotional RAG: not at all; combined with meaning by addition or multiplication;
in sequence, first by meaning and then by feeling, or the other way round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is being said now, for recall.

    `at` is the person's own time, aware of its zone: "yesterday" counts from it. `embedding` and `feelings` are packed
    as in `Meaning`; without them recall goes by words alone. The embedding is best that of the text as
    `memory.asking.in_first_person` puts it; `encoder` is the fingerprint of what made it (without one, that of the
    newest meaning): only meanings of the same are compared. The newest `exclude_newest` turns are left out, since the
    prompt holds them anyway. `gate`: whether what is not worth saying is left out.
    """

    text: str
    at: datetime
    embedding: bytes | None = None
    encoder: str | None = None
    feelings: bytes | None = None
    limit: int
    exclude_newest: int = 0
    strategy: Strategy = "c-a"
    gate: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """Something old that has to do with what is being said now.

    `text` are the words: of one utterance of `turn` (of the reply if `in_reply`), of a fact or of a summary, which have
    no single turn. `score` is at least 0, higher is better, comparable within one recall only. `why` says what it was
    found by; it quotes people, so it belongs in a trace or on a screen, not in a log.
    """

    kind: Literal["turn", "fact", "summary"] = "turn"
    text: str
    turn: Turn | None = None
    in_reply: bool = False
    said_at: float
    score: float
    why: str
    feelings: bytes | None = None
    """As in `Meaning`, of the utterance; None where no encoder read it."""
