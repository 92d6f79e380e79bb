"""Conversing in writing: through a pipe, in JSON, with bad input, and interrupted by Ctrl-C."""

import asyncio
import io
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import pytest

from device.dialogue import Dialogue
from device.text_mode import TextConversation
from device.trace import Trace, Value
from memory.worker import AsyncMemory
from models.errors import ModelError
from models.messages import Prefilled, Prompt
from tests.device.fakes import NAME, PERSON, ScriptedBrain, Step, dialogue_of, said


class Written:
    """What a conversation in writing left behind."""

    def __init__(self, dialogue: Dialogue, brain: ScriptedBrain) -> None:
        self.dialogue, self.brain = dialogue, brain
        self.sink = io.StringIO()
        self.records: list[dict[str, Value]] = []
        self.ended_by: BaseException | None = None


def converse(
    lines: str | TextIO, *replies: str | Sequence[Step], as_json: bool = False, greeting: str = "", n_ctx: int = 4_000
) -> Written:
    """A whole conversation of a person who writes these lines."""
    brain = ScriptedBrain(*replies)
    written = Written(dialogue_of(brain, None, n_ctx=n_ctx), brain)
    with Trace(listener=written.records.append) as trace, asyncio.Runner() as runner:
        conversation = TextConversation(
            dialogue=written.dialogue,
            character=NAME,
            trace=trace,
            as_json=as_json,
            source=io.StringIO(lines) if isinstance(lines, str) else lines,
            sink=written.sink,
        )
        try:
            conversation.run(runner, greeting=greeting)
        except (KeyboardInterrupt, ModelError, OSError) as error:
            written.ended_by = error
    return written


def test_lines_through_a_pipe_are_answered_until_they_end() -> None:
    written = converse("Hi.\nHow are you?\n", "Hello!", "I am well.")
    assert written.sink.getvalue() == "Pip: Hello!\nPip: I am well.\n"
    assert said(written.dialogue) == [
        ("user", "Hi."),
        ("assistant", "Hello!"),
        ("user", "How are you?"),
        ("assistant", "I am well."),
    ]


def test_the_last_line_needs_no_end() -> None:
    assert converse("Hi.", "Hello!").sink.getvalue() == "Pip: Hello!\n"


def test_empty_lines_are_passed_over() -> None:
    written = converse("\n   \nHi.\n\n", "Hello!")
    assert written.sink.getvalue() == "Pip: Hello!\n"
    assert [record["turn"] for record in written.records if record["event"] == "turn_committed"] == [1]


def test_without_input_nothing_happens() -> None:
    assert converse("", greeting="Hello, I am Pip!").sink.getvalue() == ""


def test_json_has_one_object_a_turn() -> None:
    written = converse("Hi.\nWas heißt “ja”?\n", "Hello!\nFriend!", "Yes.", as_json=True)
    assert [json.loads(line) for line in written.sink.getvalue().splitlines()] == [
        {"turn": 1, "person": "Hi.", "character": "Hello!\nFriend!"},
        {"turn": 2, "person": "Was heißt “ja”?", "character": "Yes."},
    ]


def test_a_reply_is_one_line_without_control_codes() -> None:
    assert converse("Hi.\n", "One.\nTwo.\x1b[2J").sink.getvalue() == "Pip: One. Two. [2J\n"


def test_what_no_file_can_hold_is_replaced() -> None:
    written = converse("Hi \udcff there.\n", "Hello!")
    assert said(written.dialogue)[0] == ("user", "Hi ? there.")


def test_overlong_words_are_refused_and_the_conversation_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    written = converse("word " * 300 + "\nHi.\n", "Hello!", n_ctx=700)
    assert written.sink.getvalue() == "Pip: Hello!\n"
    assert said(written.dialogue) == [("user", "Hi."), ("assistant", "Hello!")]
    refusal = capsys.readouterr().err
    assert refusal.startswith("familiar: ")
    assert refusal.count("\n") == 1


def test_a_program_learns_of_a_refusal_where_it_reads_the_answers() -> None:
    line = ("word " * 300).strip()
    written = converse(line + "\nHi.\n", "Hello!", as_json=True, n_ctx=700)
    refused, answered = map(json.loads, written.sink.getvalue().splitlines())
    assert (refused["turn"], refused["person"]) == (1, line)
    assert refused["error"]
    assert answered == {"turn": 2, "person": "Hi.", "character": "Hello!"}


def test_the_next_turn_is_settled_while_the_person_reads() -> None:
    written = converse("Hi.\n", "Hello!")
    assert written.brain.prefills[-1].endswith("Hello!<|im_end|>\n<|im_start|>user\n")


def test_the_trace_tells_of_a_turn() -> None:
    records = converse("Hi.\n", "Hello my friend!").records
    assert [record["event"] for record in records] == [
        "turn_committed",
        "recall_done",
        "prompt_ready",
        "first_token",
        "reply_done",
    ]
    assert (records[-1]["text_heard"], records[-1]["interrupted"]) == ("Hello my friend!", False)


def test_a_failure_in_the_middle_of_a_reply_leaves_what_was_printed() -> None:
    written = converse("Hi.\nAnd?\n", ("Hello my", ModelError("gone")))
    assert str(written.ended_by) == "gone"
    assert written.sink.getvalue() == "Pip: Hello my\n"
    assert said(written.dialogue) == [("user", "Hi."), ("assistant", "Hello my")]


class Interrupting(io.StringIO):
    """A person who presses Ctrl-C once they have read this."""

    def __init__(self, after: str) -> None:
        super().__init__()
        self._after = after

    def write(self, text: str) -> int:
        n = super().write(text)
        if self._after and self._after in self.getvalue():
            self._after = ""
            os.kill(os.getpid(), signal.SIGINT)
        return n


def test_ctrl_c_in_the_middle_of_a_reply_records_what_was_printed(tmp_path: Path) -> None:
    with asyncio.Runner() as runner, Trace() as trace:
        opening = AsyncMemory.open(tmp_path / "memory.db")
        memory = runner.run(opening.__aenter__())
        try:
            dialogue = dialogue_of(ScriptedBrain(("Hello my", asyncio.Event())), memory)
            runner.run(dialogue.restore())
            conversation = TextConversation(
                dialogue=dialogue,
                character=NAME,
                trace=trace,
                source=io.StringIO("Hi.\n"),
                sink=Interrupting("Hello my"),
            )
            with pytest.raises(KeyboardInterrupt):
                conversation.run(runner)
            assert said(dialogue) == [("user", "Hi."), ("assistant", "Hello my")]
            turns = runner.run(memory.last_turns(PERSON, NAME, 10))
            assert [(turn.user_text, turn.reply_text, turn.interrupted) for turn in turns] == [
                ("Hi.", "Hello my", True)
            ]
        finally:
            runner.run(opening.__aexit__(None, None, None))


def test_ctrl_c_before_anything_was_prepared_takes_the_words_back() -> None:
    """They may be a wish that nobody has understood yet: "forget about ..." must not be remembered."""

    class Slow(ScriptedBrain):
        async def prefill(self, prompt: Prompt) -> Prefilled | None:
            signal.raise_signal(signal.SIGINT)
            await asyncio.Event().wait()
            return None

    dialogue = dialogue_of(Slow(), None)
    with asyncio.Runner() as runner, Trace() as trace:
        conversation = TextConversation(
            dialogue=dialogue, character=NAME, trace=trace, source=io.StringIO("Hi.\n"), sink=io.StringIO()
        )
        with pytest.raises(KeyboardInterrupt):
            conversation.run(runner)
    assert said(dialogue) == []
