"""The guard in a conversation: it answers in place of the model, and stops the model before a bad clause is spoken.

Takes what `models.guard` decides to the stream of a reply. It holds back no more than the clause in progress and lets
go of it with the very piece by which a `ClauseSplitter` knows that the clause is over, so speech begins no later. This
may be for a reply that nobody will hear: decisions are logged and counted, by category and never by words, only once a
turn has become history (`recorded`).
"""

import logging
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import MappingProxyType

from device.settings import GuardSettings
from models.character import Character
from models.guard import Guard, Verdict
from models.guard_rules import Category, Stage, rules_of
from models.messages import Finished, Piece, Prefilled
from voice.clauses import ClauseSplitter
from voice.messages import Gesture, SpeechPart

log = logging.getLogger(__name__)

_BREAK = " \u2014 "
"""Before the guard's words where the beginning of the bad clause was let go already: somebody interrupts themselves."""

_WORD = re.compile(r"\s*\S+|\s+$")

ReplyEvent = Prefilled | Piece | Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedPiece(Piece):
    """Words of the guard in a reply; `tokens` are empty. `stage`: in place of the reply to what was "heard", or of the
    rest of what would have been "said". `is_crisis`: help is needed now, not a talk about it later."""

    category: Category
    stage: Stage
    is_crisis: bool


class Guarding:
    """The guard of one dialogue."""

    def __init__(self, guard: Guard, *, language: str) -> None:
        """`language` is the one that replies are cut into clauses by."""
        self._guard = guard
        self._language = language
        self._counts: Counter[tuple[Stage, Category]] = Counter()

    @property
    def notice(self) -> str:
        """What a person should know of this guard; empty if nothing."""
        if self._guard.covered:
            return ""
        return (
            f"The guard has no rules for the language {self._language!r}: it finds private data alone. "
            "Do not leave a child alone with this model."
        )

    @property
    def counts(self) -> Mapping[tuple[Stage, Category], int]:
        """How often the guard spoke in turns that became history."""
        return MappingProxyType(self._counts)

    def before(self, text: str) -> GuardedPiece | None:
        """The whole answer to what a person said, if the model is not to be asked."""
        verdict = self._guard.heard(text)
        return _piece(verdict, "heard") if verdict else None

    def kept(self, text: str) -> str:
        """What a person said as prompt, history and memory may keep it: without secrets."""
        return self._guard.kept(text)

    def recorded(self, pieces: Sequence[Piece]) -> None:
        """A turn with this reply became history: log and count what the guard decided in it."""
        for piece in pieces:
            if isinstance(piece, GuardedPiece):
                self._counts[piece.stage, piece.category] += 1
                log.info("the guard spoke: %s, %s", piece.category, piece.stage)

    async def filtered(self, events: AsyncGenerator[ReplyEvent, None]) -> AsyncGenerator[ReplyEvent, None]:
        """`events` of a reply, clause by clause, after an empty piece when the model begins; in place of a bad clause
        and all behind it, the guard's words. Closing this closes `events`. Read it under `contextlib.aclosing`.
        """
        reply = _Reply(self._guard, self._language)
        has_begun = False
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Prefilled):
                    yield event
                    continue
                if isinstance(event, Piece) and not has_begun:
                    has_begun = True
                    yield Piece(text="", tokens=())  # its words are held back, but the model has begun
                for piece in reply.take(event) if isinstance(event, Piece) else reply.finish():
                    yield piece
                if reply.stopped:
                    yield Finished(reason="end_of_turn")
                    return
                if isinstance(event, Finished):
                    yield event
                    return


class _Reply:
    """One reply on its way through the guard."""

    def __init__(self, guard: Guard, language: str) -> None:
        self.stopped = False
        """The guard has spoken: nothing of the model follows."""
        self._guard = guard
        self._splitter = ClauseSplitter(language=language)
        self._text = ""
        self._held: list[Piece] = []
        self._n_released = 0
        self._clause_end = 0  # everything before it is good, and known to belong to clauses that are over
        self._is_due = False  # a clause is over, but the piece that shows it looks like the beginning of something bad

    def take(self, piece: Piece) -> list[Piece]:
        """Take a piece of the model; return those that may be spoken."""
        spoken: list[Piece] = []
        for small in _small(piece):
            if not self.stopped:
                spoken += self._take(small)
        return spoken

    def _take(self, piece: Piece) -> list[Piece]:
        self._text += piece.text
        self._held.append(piece)
        if ends := [_end(part) for part in self._splitter.push(piece.text)]:
            if verdict := self._guard.said(self._text[: ends[-1]]):
                return self._stop(verdict)
            self._clause_end, self._is_due = ends[-1], True
        # The last piece belongs to the next clause already. It comes along, or whoever reads would not see that the
        # clause is over; but a bad word does not.
        if not self._is_due or self._guard.said(self._text) is not None:
            return []
        self._is_due = False
        return self._release(len(self._held))

    def finish(self) -> list[Piece]:
        """The model is done: return what may be spoken of the rest."""
        verdict = self._guard.said(self._text)
        return self._stop(verdict) if verdict else self._release(len(self._held))

    def _stop(self, verdict: Verdict) -> list[Piece]:
        """Let go of the clauses that are good and not yet out; then the guard speaks."""
        n_good, at = 0, self._n_released
        while n_good < len(self._held) and at + len(self._held[n_good].text) <= self._clause_end:
            at += len(self._held[n_good].text)
            n_good += 1
        spoken = self._release(n_good)
        before = self._text[: self._n_released]
        if self._text[self._clause_end : self._n_released].strip():
            lead = _BREAK
        else:
            lead = " " if before and not before[-1].isspace() else ""
        self.stopped = True
        return [*spoken, _piece(verdict, "said", lead)]

    def _release(self, n_pieces: int) -> list[Piece]:
        released, self._held = self._held[:n_pieces], self._held[n_pieces:]
        self._n_released += sum(len(piece.text) for piece in released)
        return released


def open_guarding(settings: GuardSettings, character: Character, language: str) -> Guarding | None:
    """The guard that the settings ask for, with the character's own answers; None if they want none."""
    if not settings.enabled:
        return None
    guard = Guard(
        rules_of(language),
        profile=settings.profile,
        answers=dict(character.answers),
        emergency_hint=settings.emergency_hint,
    )
    return Guarding(guard, language=language)


def redactor(settings: GuardSettings, language: str) -> Callable[[str], str]:
    """What leaves secrets out of a text that is to be remembered, as `Guarding.kept` does, whether or not the settings
    want a guard: who does without its answers does not thereby want passwords in a database."""
    return Guard(rules_of(language), profile=settings.profile).kept


def _small(piece: Piece) -> list[Piece]:
    """A server sends whole lines at times: so much of a clause that is not over must not come along."""
    if piece.tokens:
        return [piece]
    return [Piece(text=text, tokens=()) for text in _WORD.findall(piece.text)]


def _piece(verdict: Verdict, stage: Stage, lead: str = "") -> GuardedPiece:
    return GuardedPiece(
        text=lead + verdict.answer,
        tokens=(),
        category=verdict.category,
        stage=stage,
        is_crisis=verdict.severity == "crisis",
    )


def _end(part: SpeechPart) -> int:
    return part.at if isinstance(part, Gesture) else part.end
