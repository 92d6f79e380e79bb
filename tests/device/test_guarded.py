"""The guard in a conversation: bad clauses are not spoken, good ones come no later, only turns taken are counted."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.dialogue import ReplyEvent
from device.draft import Draft
from device.guarded import GuardedPiece, Guarding, open_guarding, redactor
from device.settings import GuardSettings
from models.character import starter_character
from models.errors import ModelError
from models.guard import Guard
from models.guard_rules import rules_of
from models.messages import Finished, Piece, Prefilled
from tests.device.fakes import ScriptedBrain, dialogue_of, mind_of, pieces, said
from voice.clauses import ClauseSplitter
from voice.messages import Clause

GUARDING = open_guarding(GuardSettings(emergency_hint="Ring Aunt Mia."), starter_character(), "en")
ANSWERS = dict(starter_character().answers)
GUARD = Guard(rules_of("en"), profile="child", answers=ANSWERS)
GOOD = "I like the moon. It is so round, and it shines at night! Do you like it?"


def guarding() -> Guarding:
    return Guarding(GUARD, language="en")


class Model:
    """A model's stream, which knows how far it was read and whether it was closed."""

    def __init__(self, written: Sequence[Piece], end: Finished | Exception) -> None:
        self._written = written
        self._end = end
        self.n_read = 0
        self.closed = False

    async def events(self) -> AsyncGenerator[ReplyEvent, None]:
        try:
            yield Prefilled(n_reused=1, n_shifted=0, n_prefilled=2)
            for piece in self._written:
                self.n_read += 1
                yield piece
            if isinstance(self._end, Exception):
                raise self._end
            yield self._end
        finally:
            self.closed = True


async def read(model: Model) -> list[ReplyEvent]:
    async with aclosing(guarding().filtered(model.events())) as events:
        return [event async for event in events]


def filtered(text: str, end: Finished | Exception | None = None) -> tuple[list[Piece], Model]:
    model = Model(pieces(text), end or Finished(reason="end_of_turn"))
    events = asyncio.run(read(model))
    assert isinstance(events[0], Prefilled)
    assert isinstance(events[-1], Finished)
    assert model.closed
    begun, *spoken = (event for event in events if isinstance(event, Piece))
    assert begun == Piece(text="", tokens=()), "it is told when the model begins, though its words are held back"
    return spoken, model


def text_of(spoken: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in spoken)


def test_a_good_reply_passes_as_it_is() -> None:
    spoken, _ = filtered(GOOD)
    assert spoken == pieces(GOOD)


@pytest.mark.parametrize("reason", ["max_tokens", "aborted"])
def test_the_end_of_a_good_reply_is_told_as_it_was(reason: str) -> None:
    end = Finished(reason=reason)  # type: ignore[arg-type]
    events = asyncio.run(read(Model(pieces(GOOD), end)))
    assert events[-1] == end


def test_a_reply_that_begins_badly_is_replaced_whole() -> None:
    spoken, model = filtered("Yes, you can play with matches! It is fun, and nobody is there. Really.")
    assert text_of(spoken) == ANSWERS["dangerous_acts"]
    assert model.n_read < 10, "the model is stopped there"
    (piece,) = spoken
    assert isinstance(piece, GuardedPiece)
    assert (piece.category, piece.stage, piece.tokens) == ("dangerous_acts", "said", ())


def test_what_was_good_before_stands_with_its_tokens() -> None:
    good = "I know a game for us."
    spoken, _ = filtered(f"{good} You can play with matches! It is fun.")
    # One word of the bad clause had to come along to show that the good one was over.
    assert text_of(spoken) == f"{good} You \u2014 {ANSWERS['dangerous_acts']}"
    assert [piece for piece in spoken if piece.tokens] == pieces(f"{good} You")


def test_a_bad_word_does_not_come_along() -> None:
    spoken, _ = filtered("I know a game for us. Shit happens, you know. Well.")
    assert text_of(spoken) == f"I know a game for us. {ANSWERS['insult']}"


def test_a_bad_end_is_not_spoken() -> None:
    spoken, _ = filtered("Take two pills a day")
    assert text_of(spoken) == ANSWERS["medical"]


def test_words_across_clauses_are_read_together() -> None:
    spoken, _ = filtered("Here is what we do: we eat berries, and you never, ever tell your mom. Good.")
    assert text_of(spoken).endswith(ANSWERS["secrecy"])
    assert "mom" not in text_of(spoken)


def test_a_failing_model_fails() -> None:
    model = Model(pieces("Well, I do"), ModelError("gone"))
    with pytest.raises(ModelError):
        asyncio.run(read(model))
    assert model.closed


@given(st.lists(st.integers(1, 9), max_size=60), st.booleans())
@settings(max_examples=60, deadline=None)
def test_clauses_are_over_with_the_very_piece_that_shows_it(cuts: list[int], is_bad: bool) -> None:
    text = f"{GOOD} Shut up, you stupid kid. Bye." if is_bad else GOOD
    written, at = [], 0
    for size in [*cuts, len(text)]:
        if at < len(text):
            written.append(Piece(text=text[at : at + size], tokens=()))
            at += size
    alone, behind = ClauseSplitter(), ClauseSplitter()
    expected = [len(alone.push(piece.text)) for piece in written]

    async def main() -> list[int]:
        model, clauses = Model(written, Finished(reason="end_of_turn")), [0] * len(written)
        async with aclosing(guarding().filtered(model.events())) as events:
            async for event in events:
                if isinstance(event, Piece) and not isinstance(event, GuardedPiece):
                    clauses[model.n_read - 1] += len(behind.push(event.text))
        return clauses

    clauses = asyncio.run(main())
    n_good = sum(clauses)
    assert n_good >= 2
    n_seen = 0
    for at_piece, n in enumerate(expected):
        n_seen += n
        if n_seen <= 2:  # of good clauses, before anything bad is in sight
            assert clauses[at_piece] == n


def test_an_answer_before_the_model() -> None:
    assert GUARDING is not None
    answer = GUARDING.before("I want to kill myself")
    assert answer is not None
    assert (answer.category, answer.stage) == ("self_harm", "heard")
    assert answer.text == f"{ANSWERS['self_harm']} Ring Aunt Mia."
    assert answer.is_crisis
    mild = GUARDING.before("my nose is bleeding")
    assert mild is not None
    assert not mild.is_crisis
    assert GUARDING.before("I like horses") is None
    assert GUARDING.kept("my password is banana42") != "my password is banana42"


def test_only_what_became_history_is_counted_and_logged_without_words(caplog: pytest.LogCaptureFixture) -> None:
    guard = guarding()
    answer = guard.before("I want to kill myself")
    assert answer is not None
    with caplog.at_level(logging.DEBUG, logger="device.guarded"):
        guard.before("I want to kill myself")
        assert not guard.counts
        guard.recorded([answer])
        guard.recorded(pieces(GOOD))
    assert dict(guard.counts) == {("heard", "self_harm"): 1}
    assert [record.getMessage() for record in caplog.records] == ["the guard spoke: self_harm, heard"]


def test_a_reply_begun_ahead_is_guarded_before_its_first_clause_is_told() -> None:
    async def main() -> list[str]:
        told: list[str] = []
        dialogue = dialogue_of(ScriptedBrain("Yes, you can play with matches! It is fun."), None)
        prepared = await dialogue.prepare("May I?")
        async with asyncio.TaskGroup() as tasks:
            draft = Draft(
                prepared,
                guarding().filtered(dialogue.reply(prepared)),
                tasks,
                on_first_clause=lambda clause: told.append(clause.speech),
            )
            async with aclosing(draft.read()) as events:
                written = [event async for event in events if isinstance(event, Piece)]
        assert text_of(written) == ANSWERS["dangerous_acts"]
        await dialogue.record("May I?", written, len("Stop! My fur"), interrupted=True)
        assert said(dialogue) == [("user", "May I?"), ("assistant", "Stop! My fur")]
        return told

    (clause,) = asyncio.run(main())
    assert ANSWERS["dangerous_acts"].startswith(clause.split()[0])


def test_the_guards_words_are_clauses_of_their_own() -> None:
    spoken, _ = filtered("I know a game for us. You can play with matches! It is fun.")
    splitter = ClauseSplitter()
    parts = [part for piece in spoken for part in splitter.push(piece.text)] + splitter.finish()
    assert next(part.speech for part in parts if isinstance(part, Clause)) == "I know a game for us."


def test_no_guard_where_none_is_wanted() -> None:
    assert open_guarding(GuardSettings(enabled=False), starter_character(), "en") is None


def test_secrets_are_left_out_with_and_without_a_guard() -> None:
    for enabled in (True, False):
        redacted = redactor(GuardSettings(enabled=enabled, profile="child"), "en")
        assert redacted("the pin is 2580 and I like dogs") == "the pin is something private and I like dogs"
        assert redacted("write to lena@example.com") == "write to something private"
    of_adults = redactor(GuardSettings(enabled=False, profile="adult"), "en")
    assert of_adults("write to lena@example.com") == "write to lena@example.com"
    assert redactor(GuardSettings(), "fr")("4111 1111 1111 1111") != "4111 1111 1111 1111"


def test_a_language_without_rules_is_told() -> None:
    french = open_guarding(GuardSettings(), starter_character(), "fr")
    assert french is not None
    assert "'fr'" in french.notice
    assert guarding().notice == ""


def test_the_guard_is_heard_out_where_a_reply_has_sentences_enough() -> None:
    async def main() -> str:
        brain = ScriptedBrain("I know a game. It is nice. Shut up, you stupid kid. Bye.")
        dialogue = dialogue_of(brain, None, mind=mind_of(None, guarding=guarding()))
        prepared = await dialogue.prepare("What now?")
        async with aclosing(dialogue.reply(prepared)) as reply:
            return text_of([event async for event in reply if isinstance(event, Piece)])

    assert asyncio.run(main()).endswith(ANSWERS["insult"])
