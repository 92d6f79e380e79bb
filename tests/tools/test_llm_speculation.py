"""The benchmark of replies begun early speaks as people do: word by word."""

import asyncio
from typing import cast

import pytest

from device.anticipation import Anticipation
from tools import llm_speculation
from tools.llm_speculation import _speak


class Listening:
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def begin(self) -> None:
        self.told.append(("begin", ""))

    def hear(self, running_text: str) -> None:
        self.told.append(("hear", running_text))

    def expect(self, text: str) -> None:
        self.told.append(("expect", text))


def test_words_are_heard_as_they_come_and_expected_when_the_last_one_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm_speculation, "WORD_S", 0.0)
    listening = Listening()
    asyncio.run(_speak(cast("Anticipation", listening), ("Where", "are", "you?")))
    assert listening.told == [
        ("begin", ""),
        ("hear", "Where"),
        ("hear", "Where are"),
        ("hear", "Where are you?"),
        ("expect", "Where are you?"),
    ]
