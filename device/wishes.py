"""What people wish about remembering, carried out while they talk: "forget that", "don't remember this".

`memory.requests` understands the words; this answers them in fixed words, which no model could do reliably, and does
it. "Forget everything" is asked back first. What was said in a wish is not remembered itself: it names what is to go.
"""

import tomllib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from device.given import Given, given_text
from device.remembering import Remembering
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What is said to each wish."""

    forgotten: str
    ask_everything: str
    forgot_everything: str
    begins: str
    ends: str
    failed: str


def answers_in(language: str) -> Answers:
    """The answers in a language, given by its ISO 639-1 code; in English where there are none in it."""
    tables = tomllib.loads((Path(__file__).parent / "data" / "wishes.toml").read_text(encoding="utf-8"))
    return Answers(**tables.get(language, tables["en"]))


class Wishes:
    """Answers the wishes of one person. What is answered speculatively has no effect before it is `Given.carry_out`."""

    def __init__(
        self, remembering: Remembering, *, character: str, language: str, on_forgotten: Callable[[], Awaitable[None]]
    ) -> None:
        """`on_forgotten` removes what else on this machine holds words that were said."""
        self._remembering = remembering
        self._names = (character,)
        self._language = language
        self._answers = answers_in(language)
        self._on_forgotten = on_forgotten
        self._has_asked = self._asks = False

    def answer(self, text: str) -> Given | None:
        """The answer to a wish in these words; None where there is none."""
        if self._has_asked and confirms(text, self._language):
            return Given(
                piece=given_text(self._answers.forgot_everything),
                failed=given_text(self._answers.failed),
                carry_out=self._forget_everything,
                forgets="everything",
                remembers=False,
            )
        request = understood(text, self._language, names=self._names)
        return replace(self._given(request), failed=given_text(self._answers.failed)) if request else None

    def taken(self) -> None:
        """A turn was answered: a question asked before it is not open any more, one asked in it is."""
        self._has_asked, self._asks = self._asks, False

    def _given(self, request: Request) -> Given:
        answers = self._answers
        match request:
            case ForgetLast():
                return Given(
                    piece=given_text(answers.forgotten), carry_out=self._forget_last, forgets="last", remembers=False
                )
            case ForgetAbout(words=words):
                return Given(
                    piece=given_text(answers.forgotten),
                    carry_out=lambda: self._forget_about(words),
                    forgets="some",
                    remembers=False,
                )
            case ForgetEverything():
                return Given(piece=given_text(answers.ask_everything), carry_out=self._ask, remembers=False)
            case BeginIncognito():
                return Given(
                    piece=given_text(answers.begins), carry_out=lambda: self._remember(wanted=False), remembers=False
                )
            case EndIncognito():
                return Given(
                    piece=given_text(answers.ends), carry_out=lambda: self._remember(wanted=True), remembers=False
                )

    async def _forget_last(self) -> None:
        await self._remembering.forget_last()
        await self._on_forgotten()

    async def _forget_about(self, words: str) -> None:
        await self._remembering.forget(words)
        await self._on_forgotten()

    async def _forget_everything(self) -> None:
        await self._remembering.forget()
        await self._on_forgotten()

    async def _ask(self) -> None:
        self._asks = True

    async def _remember(self, *, wanted: bool) -> None:
        self._remembering.incognito = not wanted
