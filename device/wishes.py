"""What people wish about remembering, carried out while they talk: "forget that", "don't remember this".

`memory.requests` understands the words; this answers them in fixed words, which no model could do reliably, and does
it, in memory and history. What would take more than a few turns is asked back first. What was said in a wish is not
remembered itself: it names what is to go. Without a memory, the history alone forgets.
"""

import logging
import time
import tomllib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from device.given import Given, given_text
from device.history import History
from device.remembering import Remembering
from memory.errors import MemoryStoreError
from memory.requests import (
    BeginIncognito,
    EndIncognito,
    ForgetAbout,
    ForgetEverything,
    ForgetLast,
    Request,
    confirms,
    understood,
)
from models.messages import Piece

log = logging.getLogger(__name__)

MOST_AT_ONCE = 3
"""More turns than this are not forgotten without asking back: "forget about my homework" may mean years."""

OPEN_FOR_S = 60.0
"""How long a question stays open: a "yes" minutes later answers something else."""

INCOGNITO_S = 30 * 60.0
"""After so long a silence what is said is remembered again: whoever asked for the contrary has left."""

INCOGNITO_BEGINS = "Nothing that is said now is remembered: somebody asked for that."
INCOGNITO_ENDS = "What is said is remembered again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What is said to each wish. `ask_about` has a place for `n` and one for `words`."""

    forgotten: str
    nothing_known: str
    ask_about: str
    ask_everything: str
    forgot_everything: str
    ask_grown_up: str
    begins: str
    ends: str
    failed: str


def answers_in(language: str) -> Answers:
    """The answers in a language, given by its ISO 639-1 code; in English where there are none in it."""
    tables = tomllib.loads((Path(__file__).parent / "data" / "wishes.toml").read_text(encoding="utf-8"))
    return Answers(**tables.get(language, tables["en"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """Whether everything about `words` is really to be forgotten; without any, everything. `asked_s` is monotonic."""

    words: str
    asked_s: float


class Wishes:
    """Answers the wishes of one person. What is answered speculatively has no effect before it is `Given.carry_out`."""

    def __init__(
        self,
        remembering: Remembering | None,
        *,
        character: str,
        language: str,
        on_forgotten: Callable[[], Awaitable[None]],
        may_forget_much: bool = True,
        on_notice: Callable[[str], None] = log.info,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_forgotten` removes what else on this machine holds words that were said. Without `may_forget_much` only
        the last turn is forgotten on somebody's word. `on_notice` is told when remembering ends and begins again."""
        self._remembering = remembering
        self._names = (character,)
        self._language = language
        self._answers = answers_in(language)
        self._on_forgotten = on_forgotten
        self._may_forget_much = may_forget_much
        self._on_notice = on_notice
        self._clock = clock
        self._open: _Question | None = None
        self._asked: _Question | None = None
        self._is_incognito = False
        self._last_words_s = clock()

    def answer(self, text: str) -> Given | None:
        """The answer to a wish in these words; None where there is none."""
        if self._open is not None and self._is_recent(self._open) and confirms(text, self._language):
            words = self._open.words
            done = self._answers.forgotten if words else self._answers.forgot_everything
            return self._given(done, lambda history: self._forget(words, history))
        request = understood(text, self._language, names=self._names)
        return self._answer_to(request) if request is not None else None

    def taken(self) -> None:
        """A turn was answered: a question asked before it is not open any more, one asked in it is. What nobody ended
        while nobody spoke ends now."""
        self._open, self._asked = self._asked, None
        now_s = self._clock()
        if self._is_incognito and now_s - self._last_words_s > INCOGNITO_S:
            self._remember(wanted=True)
        self._last_words_s = now_s

    def _answer_to(self, request: Request) -> Given:
        answers = self._answers
        match request:
            case ForgetLast(is_all_said=False):
                # "My password is banana. Forget that.": what was said before was not meant.
                return self._given(answers.forgotten)
            case ForgetLast():
                return self._given(answers.forgotten, self._forget_last)
            case ForgetAbout() | ForgetEverything() if not self._may_forget_much:
                return self._given(answers.ask_grown_up)
            case ForgetAbout(words=words):
                return self._given(answers.forgotten, lambda history: self._forget_about(words, history))
            case ForgetEverything():
                return self._given(answers.ask_everything, self._ask_everything)
            case BeginIncognito():
                return self._given(answers.begins, self._begin)
            case EndIncognito():
                return self._given(answers.ends, self._end)

    def _given(self, words: str, work: Callable[[History], Awaitable[Piece | None]] | None = None) -> Given:
        piece = given_text(words)
        if work is None:
            return Given(piece=piece, remembers=False)

        async def carry_out(history: History) -> Piece | None:
            try:
                return await work(history)
            except MemoryStoreError as error:
                log.warning("what somebody wished could not be done: %s", error)
                return given_text(self._answers.failed)

        return Given(piece=piece, carry_out=carry_out, remembers=False)

    async def _forget_last(self, history: History) -> Piece | None:
        entry = history.last
        was_there = entry is not None
        if self._remembering is not None:
            was_there = await self._remembering.forget_last(entry)
        if entry is not None:
            history.remove(entry)
        return await self._forgotten(was_there=was_there)

    async def _forget_about(self, words: str, history: History) -> Piece | None:
        n = len(history.about(words))
        is_known = n > 0
        if self._remembering is not None:
            found = await self._remembering.preview(words)
            n += found.turns
            is_known = is_known or not found.is_nothing
        if n > MOST_AT_ONCE:
            self._asked = _Question(words=words, asked_s=self._clock())
            return given_text(self._answers.ask_about.format(n=n, words=words))
        return await self._forget(words, history) if is_known else given_text(self._answers.nothing_known)

    async def _forget(self, words: str, history: History) -> Piece | None:
        """What these words are in, or everything."""
        about = history.about(words)
        if self._remembering is not None:
            await self._remembering.forget(words)
        if words:
            if self._remembering is not None:
                asked = history.turn_ids
                history.keep_only(await self._remembering.still_there(asked), of=asked)
            history.remove(*about)
        else:
            history.clear()
        return await self._forgotten(was_there=True)

    async def _forgotten(self, *, was_there: bool) -> Piece | None:
        await self._on_forgotten()
        return None if was_there else given_text(self._answers.nothing_known)

    async def _ask_everything(self, _history: History) -> None:
        self._asked = _Question(words="", asked_s=self._clock())

    async def _begin(self, _history: History) -> None:
        self._remember(wanted=False)

    async def _end(self, _history: History) -> None:
        self._remember(wanted=True)

    def _remember(self, *, wanted: bool) -> None:
        if self._is_incognito == wanted:
            self._on_notice(INCOGNITO_ENDS if wanted else INCOGNITO_BEGINS)
        self._is_incognito = not wanted
        self._last_words_s = self._clock()
        if self._remembering is not None:
            self._remembering.incognito = not wanted

    def _is_recent(self, question: _Question) -> bool:
        return self._clock() - question.asked_s <= OPEN_FOR_S
