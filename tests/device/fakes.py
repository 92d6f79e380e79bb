"""A person, a brain and a whole scene around a conversation, doing what a test scripts.

Nothing here waits for real time: the test says when a word comes, when it sounds and when somebody speaks. What stands
between them (prompt, player, mouth, memory) is real.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from device.conversation import Conversation
from device.dialogue import Dialogue, DialogueSettings
from device.display import Update
from device.feelings import Feelings
from device.guarded import Guarding
from device.housekeeping import Housekeeping
from device.mind import Mind
from device.reading import Reading
from device.remembering import Memory, RecallSettings, Remembering
from device.trace import Trace, Value
from device.wishes import Wishes
from firmware_bridge.body import Expression, ExpressionName
from memory.messages import Turn
from memory.worker import AsyncMemory
from models.character import Character
from models.messages import Finished, Message, Piece, Prefilled, Prompt
from models.prompt import PromptBuilder
from models.sampling import Sampling
from models.stops import ReplyLimits
from models.template import ChatTemplate
from tests.models.test_prompt import CharacterTokens
from tests.models.tiny_gguf import CHATML
from tests.voice.scripted_ears import PATIENCE_S, until
from tests.voice.scripted_mouth import LETTER_SAMPLES, HandSpeaker, ToneVoice
from voice.messages import (
    Heard,
    ListenerMessage,
    PartialText,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    TurnEnded,
)
from voice.mouth import Mouth
from voice.player import Player

PERSON, NAME = "Ada", "Pip"

ANSWERED_TURN = (
    "speech_started",
    "speech_ended",
    "turn_committed",
    "asr_final",
    "recall_done",
    "prompt_ready",
    "first_token",
    "first_clause",
    "first_audio_queued",
    "first_audio_heard",
    "reply_done",
)
"""The events of a turn that was answered aloud, in their order."""

Step = str | Finished | asyncio.Event | Exception
"""What a scripted reply does next: say words, end, wait for the test, or fail."""


class ScriptedBrain:
    """Gives the replies it was made with, word by word; then empty ones. Remembers what it was asked."""

    def __init__(self, *replies: str | Sequence[Step]) -> None:
        self._replies = [[reply] if isinstance(reply, str) else list(reply) for reply in replies]
        self.prefills: list[str] = []
        self.prompts: list[str] = []
        self.n_aborted = 0
        """Replies broken off."""
        self.n_dropped = 0
        """Prefills cancelled while held back."""
        self.prefilling = asyncio.Event()
        """Clear it to hold back every prefill."""
        self.prefilling.set()
        self.superseded = False
        """Something newer always comes between a prefill and its end."""
        self.failure: Exception | None = None
        """Raised by the next prefill."""

    async def prefill(self, prompt: Prompt) -> Prefilled | None:
        self.prefills.append(CharacterTokens().text(prompt.tokens))
        try:
            await self.prefilling.wait()
        except asyncio.CancelledError:
            self.n_dropped += 1
            raise
        if self.failure is not None:
            raise self.failure
        if self.superseded:
            return None
        return Prefilled(n_reused=len(prompt.tokens) - 1, n_shifted=0, n_prefilled=1)

    settle = prefill

    async def stream(
        self, prompt: Prompt, sampling: Sampling, limits: ReplyLimits
    ) -> AsyncGenerator[Prefilled | Piece | Finished, None]:
        self.prompts.append(CharacterTokens().text(prompt.tokens))
        steps = self._replies.pop(0) if self._replies else []
        try:
            yield Prefilled(n_reused=len(prompt.tokens), n_shifted=0, n_prefilled=0)
            for step in steps:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    raise step
                elif isinstance(step, Finished):
                    yield step
                    return
                else:
                    for piece in pieces(step):
                        yield piece
                        await asyncio.sleep(0)
            yield Finished(reason="end_of_turn")
        except (asyncio.CancelledError, GeneratorExit):
            self.n_aborted += 1
            raise


def pieces(text: str) -> list[Piece]:
    """The text as a model writes it: a word and the space before it at a time."""
    words: list[str] = re.findall(r"\s*\S+|\s+$", text)
    return [Piece(text=word, tokens=tuple(map(ord, word))) for word in words]


class ScriptedPerson:
    """A listener: what the test lets the person say arrives as it would from ears. One turn after the other."""

    def __init__(self) -> None:
        self._inbox: asyncio.Queue[ListenerMessage | Exception | None] = asyncio.Queue()
        self.turn_id = 0
        self._revision = 0

    async def messages(self) -> AsyncGenerator[ListenerMessage, None]:
        while (message := await self._inbox.get()) is not None:
            if isinstance(message, Exception):
                raise message
            yield message

    def time_s(self, sample: int) -> float:
        return sample / 1_000

    def begins(self) -> None:
        self.turn_id += 1
        self._revision = 0
        self.tell(SpeechStarted(turn_id=self.turn_id, revision=0, at_sample=self.turn_id * 1_000, preroll_sample=0))

    def murmurs(self, text: str) -> None:
        self.tell(PartialText(turn_id=self.turn_id, revision=self._revision, text=text))

    def pauses(self, text: str) -> None:
        self.tell(SpeechPaused(turn_id=self.turn_id, revision=self._revision, last_voiced_sample=self._last_sample))
        self.tell(self.heard(text))

    def resumes(self) -> None:
        self._revision += 1
        self.tell(SpeechResumed(turn_id=self.turn_id, revision=self._revision, at_sample=self._last_sample))

    def ends(self, text: str) -> None:
        self.falls_silent()
        self.tell(self.heard(text, final=True))

    def falls_silent(self) -> None:
        last = self._last_sample
        self.tell(TurnEnded(turn_id=self.turn_id, revision=self._revision, last_voiced_sample=last, forced=False))

    def says(self, text: str) -> None:
        """A whole turn, understood at once."""
        self.begins()
        self.pauses(text)
        self.ends(text)

    def leaves(self) -> None:
        """The microphone is closed."""
        self._inbox.put_nowait(None)

    def fails(self, error: Exception) -> None:
        self._inbox.put_nowait(error)

    def tell(self, message: ListenerMessage) -> None:
        self._inbox.put_nowait(message)

    def heard(self, text: str, *, final: bool = False, turn_id: int | None = None, lost_s: float = 0.0) -> Heard:
        return Heard(
            turn_id=turn_id or self.turn_id,
            revision=self._revision,
            text=text,
            final=final,
            audio_s=0.5,
            speech_ended_s=self.time_s(self._last_sample),
            asr_s=0.01,
            lost_s=lost_s,
        )

    @property
    def all_told(self) -> bool:
        """Everything said has reached the conversation."""
        return self._inbox.empty()

    @property
    def _last_sample(self) -> int:
        return self.turn_id * 1_000 + 500


class RecordingDisplay:
    """Keeps what it was shown."""

    def __init__(self) -> None:
        self.updates: list[Update] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, update: Update) -> None:
        self.updates.append(update)


class RecordingBody:
    """Keeps what it was told to express."""

    capabilities = frozenset(ExpressionName)

    def __init__(self) -> None:
        self.expressed: list[Expression] = []

    async def express(self, expression: Expression) -> None:
        self.expressed.append(expression)

    async def stop(self) -> None: ...


async def _nothing_to_remove() -> None: ...


def _say_nothing(_text: str) -> None: ...


def mind_of(
    memory: Memory | None,
    *,
    recall_items: int = 2,
    recall_tokens: int = 200,
    reading: Reading | None = None,
    feelings: Feelings | None = None,
    guarding: Guarding | None = None,
    on_forgotten: Callable[[], Awaitable[None]] = _nothing_to_remove,
    may_forget_much: bool = True,
    on_notice: Callable[[str], None] = _say_nothing,
    clock: Callable[[], float] = time.monotonic,
) -> Mind:
    """What Pip has beside its model, in talk with Ada; a token of a recalled text is a letter."""
    remembering = None
    redact = guarding.kept if guarding is not None else str
    if memory is not None:
        remembering = Remembering(
            memory,
            person=PERSON,
            character=NAME,
            recall=RecallSettings(items=recall_items, tokens=recall_tokens),
            measure=len,
            reading=reading,
            redact=redact,
            on_notice=on_notice,
        )
    wishes = Wishes(
        remembering,
        character=NAME,
        language="en",
        on_forgotten=on_forgotten,
        may_forget_much=may_forget_much,
        on_notice=on_notice,
        clock=clock,
    )
    return Mind(
        reading=reading,
        remembering=remembering,
        feelings=feelings,
        guarding=guarding,
        wishes=wishes,
        chores=(),
        notices=(),
        redact=redact,
    )


def dialogue_of(
    brain: ScriptedBrain,
    memory: Memory | None,
    *,
    n_ctx: int = 4_000,
    recall_items: int = 2,
    restore_turns: int = 8,
    mind: Mind | None = None,
    on_turn_over: Callable[[Sequence[Message], int], Awaitable[None]] | None = None,
) -> Dialogue:
    """A dialogue of Ada with Pip, with one token per character."""
    tokens = CharacterTokens()
    character = Character(name=NAME, persona="You are Pip.")
    return Dialogue(
        brain=brain,
        tokenizer=tokens,
        prompts=PromptBuilder(tokens, ChatTemplate(CHATML), character, n_ctx=n_ctx, reply_reserve=100),
        mind=mind or mind_of(memory, recall_items=recall_items),
        on_turn_over=on_turn_over,
        settings=DialogueSettings(
            limits=ReplyLimits(max_tokens=100),
            max_sentences=3,
            language="en",
            sampling=Sampling(),
            restore_turns=restore_turns,
        ),
    )


async def talk_with(dialogue: Dialogue, *lines: str) -> str:
    """Say these lines, one turn after the other, and hear each answer to its end. Returns the last answer."""
    answer = ""
    for line in lines:
        prepared = await dialogue.prepare(line)
        instead = await dialogue.take(prepared)
        async with aclosing(dialogue.reply(prepared)) as reply:
            spoken = [piece async for piece in reply if isinstance(piece, Piece)]
        if instead is not None:
            spoken = [instead]
        answer = "".join(piece.text for piece in spoken)
        await dialogue.record(line, spoken, len(answer), interrupted=False, remembers=prepared.remembers)
        await dialogue.settle()
        await dialogue.turn_over()
    return answer


def said(dialogue: Dialogue) -> list[tuple[str, str]]:
    """The history as pairs of role and text."""
    return [(message.role, message.text) for message in dialogue.history]


@dataclass(kw_only=True)
class Scene:
    """A conversation under way, and everybody in it."""

    person: ScriptedPerson
    brain: ScriptedBrain
    voice: ToneVoice
    speaker: HandSpeaker
    mouth: Mouth
    body: RecordingBody
    display: RecordingDisplay
    dialogue: Dialogue
    memory: AsyncMemory
    conversation: Conversation
    records: list[dict[str, Value]] = field(default_factory=list)
    sound_faults: dict[str, int] = field(default_factory=dict)

    async def until(self, event: str, *, turn: int | None = None, count: int = 1) -> dict[str, Value]:
        """The `count`-th record of this event, of this turn if one is given; waits for it."""

        def found() -> list[dict[str, Value]]:
            return [r for r in self.records if r["event"] == event and turn in (None, r["turn"])]

        await until(lambda: len(found()) >= count)
        return found()[count - 1]

    async def hear(self, text: str, upto: str) -> None:
        """Play the reply `text`, letter by letter, until the word `upto` of it has been heard."""
        end = text.index(upto) + len(upto)
        async with asyncio.timeout(PATIENCE_S):
            while self.mouth.heard_end() < end:
                self.speaker.play(LETTER_SAMPLES)
                await asyncio.sleep(0.001)

    async def idle(self) -> None:
        """Wait until everything said has been dealt with."""
        await until(lambda: self.person.all_told and self.conversation.idle)

    def events(self, turn: int) -> list[str]:
        return [str(record["event"]) for record in self.records if record["turn"] == turn]

    async def remembered(self) -> list[tuple[str, str, bool]]:
        turns: tuple[Turn, ...] = await self.memory.last_turns(PERSON, NAME, 100)
        return [(turn.user_text, turn.reply_text, turn.interrupted) for turn in turns]


@asynccontextmanager
async def scene(
    folder: Path,
    *replies: str | Sequence[Step],
    voice: ToneVoice | None = None,
    by_itself: bool = False,
    n_ctx: int = 4_000,
    trace_file: Path | None = None,
    speculate: bool = True,
    mind: Callable[[AsyncMemory], Mind] = mind_of,
    housekeeping: Housekeeping | None = None,
) -> AsyncIterator[Scene]:
    """Everything opened around a conversation that is not running yet."""
    records: list[dict[str, Value]] = []
    sound_faults: dict[str, int] = {}
    brain, speaker, voice = ScriptedBrain(*replies), HandSpeaker(by_itself=by_itself), voice or ToneVoice()
    person, body, display = ScriptedPerson(), RecordingBody(), RecordingDisplay()
    async with AsyncMemory.open(folder / "memory.db") as memory:
        dialogue = dialogue_of(brain, memory, n_ctx=n_ctx, mind=mind(memory))
        await dialogue.restore()
        async with Mouth(voice, Player(speaker)) as mouth:
            with Trace(trace_file, records.append) as trace:
                yield Scene(
                    person=person,
                    brain=brain,
                    voice=voice,
                    speaker=speaker,
                    mouth=mouth,
                    body=body,
                    display=display,
                    dialogue=dialogue,
                    memory=memory,
                    conversation=Conversation(
                        dialogue=dialogue,
                        listener=person,
                        mouth=mouth,
                        body=body,
                        trace=trace,
                        display=display,
                        housekeeping=housekeeping,
                        sound_faults=sound_faults.copy,
                        speculate=speculate,
                    ),
                    records=records,
                    sound_faults=sound_faults,
                )


@asynccontextmanager
async def running(room: Scene, greeting: str = "") -> AsyncIterator[None]:
    """The conversation, until the block is left; then the person has left too."""
    task = asyncio.create_task(room.conversation.run(greeting=greeting))
    try:
        yield
        room.person.leaves()
        await task
    finally:
        task.cancel()
        await asyncio.wait((task,))


def user_words(prompts: list[str]) -> list[str]:
    """The newest words of the prompts that ask for a reply."""
    asking = [prompt for prompt in prompts if prompt.endswith("<|im_start|>assistant\n")]
    return [prompt.split("<|im_start|>user\n")[-1].partition("<|im_end|>")[0] for prompt in asking]
