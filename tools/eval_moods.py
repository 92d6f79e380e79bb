"""`familiar eval recall --pairs`: whether each strategy of feelings brings back the memory in the same mood first.

The two memories of each of `tools.mood_pairs`, and something indifferent about the same thing, are what a person has
told one character; what is said now is asked of the very recall that the companion uses.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from memory.asking import in_first_person
from memory.meanings import store_meanings
from memory.messages import Query, Strategy, Turn
from memory.store import MemoryStore
from tools.eval_recall import STRATEGIES, Reader
from tools.mood_pairs import MOOD_PAIRS, MoodPair

Say = Callable[[str], None]

LEAST_CONGRUENT = 0.9
"""What a strategy is to reach."""

_BEGUN = datetime(2024, 1, 1, tzinfo=UTC)
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Congruence:
    """How often, of `asked` times, a strategy put the memory in the mood of the question before that in the other."""

    strategy: Strategy
    share: float
    asked: int
    missed: tuple[str, ...]
    """What was said where it did not."""


def evaluate_moods(say: Say, *, encoder: Path | None = None) -> tuple[Congruence, ...]:
    """Each strategy over MOOD_PAIRS. Raises ModelFileError."""
    reader = Reader(encoder)
    with ExitStack() as opened:
        folder = opened.enter_context(TemporaryDirectory(prefix="familiar-eval-"))
        store = opened.enter_context(MemoryStore(Path(folder) / "memory.db"))
        _fill(store, reader)
        found = tuple(_congruence(store, reader, strategy) for strategy in STRATEGIES)
    for each in found:
        say(f"{each.strategy}: {each.share:.3f}")
    return found


def _fill(store: MemoryStore, reader: Reader) -> None:
    """Everything is said and read; the pleasant memory is the newer one in every other pair."""
    meanings = []
    for number, pair in enumerate(MOOD_PAIRS):
        names = _names(pair)
        conversation_id = store.open_conversation(*names)
        order = (pair.pleasant, pair.unpleasant) if number % 2 else (pair.unpleasant, pair.pleasant)
        for day, text in enumerate((f"We talked about the {pair.topic}.", *order)):
            turn = store.commit_turn(
                Turn(
                    conversation_id=conversation_id,
                    person=names[0],
                    character=names[1],
                    user_text=text,
                    reply_text="I see.",
                    said_at=_BEGUN.timestamp() + day * _DAY_S,
                )
            )
            meanings.append(reader.meaning(turn, in_reply=False))
    store_meanings(store, meanings, reader.fingerprint)


def _congruence(store: MemoryStore, reader: Reader, strategy: Strategy) -> Congruence:
    missed = []
    for pair in MOOD_PAIRS:
        for said, alike, other in (
            (pair.glad, pair.pleasant, pair.unpleasant),
            (pair.upset, pair.unpleasant, pair.pleasant),
        ):
            read = reader.read(in_first_person(said, _names(pair)))
            query = Query(
                text=said,
                at=_BEGUN + timedelta(4),
                embedding=read.embedding,
                feelings=read.feelings,
                encoder=reader.fingerprint,
                limit=10,
                strategy=strategy,
                gate=False,
            )
            texts = [item.text for item in store.recall(*_names(pair), query)]
            if texts.index(other) < texts.index(alike):
                missed.append(said)
    n = 2 * len(MOOD_PAIRS)
    return Congruence(strategy=strategy, share=round(1 - len(missed) / n, 4), asked=n, missed=tuple(missed))


def _names(pair: MoodPair) -> tuple[str, str]:
    return "Anna", f"Luna of the {pair.topic}"
