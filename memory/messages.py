"""The vocabulary of `memory`: frozen messages between the store and whoever remembers with it."""

from dataclasses import dataclass


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
class Recalled:
    """An old turn that has to do with what is being said now.

    `score` is weighted BM25, at least 0, higher is better, comparable within one recall only. `why` names the words it
    was found by and who said them; it quotes people, so it belongs in a trace or on a screen, not in a log.
    """

    turn: Turn
    score: float
    why: str
