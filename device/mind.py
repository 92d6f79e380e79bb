"""What a dialogue has beside its model: memory, meaning, moods, a guard, and what is done about them in idle time.

Opened here from the settings, for `device.companion` to hand to the dialogue. Each part may be missing, by the settings
or because this machine lacks it; the conversation goes on without, and what is missing is said.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from device.chores import ExtractionChore, memory_chores
from device.continuity import Continuity
from device.feelings import Feelings, figures
from device.guarded import Guarding, open_guarding, redactor
from device.housekeeping import Chore
from device.reading import Reading
from device.remembering import RecallSettings, Remembering
from device.settings import Settings
from device.trace import Trace
from device.wishes import Wishes
from memory.errors import MemoryStoreError
from memory.recall import warm
from memory.worker import AsyncMemory
from models.character import Character
from models.encoder_worker import AsyncEncoder
from models.errors import ModelError
from models.mood import MoodState
from models.prompt import PromptBuilder
from models.worker import LlamaWorker


@dataclass(frozen=True, slots=True, kw_only=True)
class Mind:
    """All of it. `chores` are for `device.housekeeping`; `notices` say what is missing."""

    reading: Reading | None
    remembering: Remembering | None
    feelings: Feelings | None
    guarding: Guarding | None
    wishes: Wishes | None
    chores: tuple[Chore, ...]
    notices: tuple[str, ...]
    redact: Callable[[str], str] = str
    """Takes secrets out of words before a prompt, the history or the memory gets them."""


def local_time() -> datetime:
    """The person's own time, aware of its zone."""
    return datetime.now().astimezone()


@asynccontextmanager
async def open_mind(
    character: Character,
    settings: Settings,
    *,
    person: str,
    memory: AsyncMemory | None,
    engine: LlamaWorker,
    prompts: Callable[[Character], PromptBuilder],
    continuity: Continuity,
    states: Path,
    trace: Trace | None,
    on_notice: Callable[[str], None],
) -> AsyncIterator[Mind]:
    """Open what the settings ask for; the mood wakes up as it was, and is kept on leaving. `prompts` makes the builder
    of a character's prompts; `states` is the folder of what the engine saves; `on_notice` is told of what fails later.

    Raises CharacterError where the character feels what no body can show.
    """
    language = settings.listen.language
    notices: list[str] = []
    async with AsyncExitStack() as stack:
        reading = await _reading(stack, settings, notices, on_notice)
        guarding = open_guarding(settings.guard, character, language)
        if guarding is not None and guarding.notice:
            notices.append(guarding.notice)
        feelings = await _feelings(stack, character, settings, person, memory, trace, notices)
        redact = redactor(settings.guard, language)
        remembering = None
        chores: tuple[Chore, ...] = ()
        if memory is not None:
            remembering = _remembering(memory, engine, settings, person, character, reading, redact, on_notice)
            chores = _chores(character, settings, person, memory, engine, prompts, reading, states)
            fingerprint = reading.fingerprint if reading is not None else None
            warming = asyncio.create_task(memory.ask(warm, person, character.name, fingerprint), name="warm-memory")
            stack.push_async_callback(asyncio.wait, (warming,))

        wishes = Wishes(
            remembering,
            character=character.name,
            language=language,
            on_forgotten=continuity.forget_talk,
            may_forget_much=settings.memory.spoken_forgetting,
            on_notice=on_notice,
        )
        yield Mind(
            reading=reading,
            remembering=remembering,
            feelings=feelings,
            guarding=guarding,
            wishes=wishes,
            chores=chores,
            notices=tuple(notices),
            redact=redact,
        )


def _remembering(
    memory: AsyncMemory,
    engine: LlamaWorker,
    settings: Settings,
    person: str,
    character: Character,
    reading: Reading | None,
    redact: Callable[[str], str],
    on_notice: Callable[[str], None],
) -> Remembering:
    kept = settings.memory
    return Remembering(
        memory,
        person=person,
        character=character.name,
        recall=RecallSettings(items=kept.recall_items, tokens=kept.recall_tokens, strategy=kept.recall_feelings),
        measure=lambda text: len(engine.vocabulary.tokenize(text, parse_special=False)),
        reading=reading,
        redact=redact,
        learns=kept.extract != "off",
        on_notice=on_notice,
        local_time=local_time,
    )


async def _reading(
    stack: AsyncExitStack, settings: Settings, notices: list[str], on_notice: Callable[[str], None]
) -> Reading | None:
    if not (settings.memory.enabled or settings.feelings.enabled):
        return None
    try:
        return Reading(await stack.enter_async_context(AsyncEncoder.open()), on_notice)
    except ModelError as error:
        notices.append(f"nothing is recalled by its meaning, and words move no mood: {error}")
        return None


async def _feelings(
    stack: AsyncExitStack,
    character: Character,
    settings: Settings,
    person: str,
    memory: AsyncMemory | None,
    trace: Trace | None,
    notices: list[str],
) -> Feelings | None:
    if not settings.feelings.enabled:
        return None

    told: dict[str, float] = {}

    def tell(state: MoodState) -> None:
        nonlocal told
        before, told = told, figures(state)
        if trace is not None and told != before:
            mood: Any = told  # names that are none of the event's own
            trace.event("mood", turn=0, **mood)

    feelings = Feelings(character, memory=memory, person=person, on_change=tell)
    try:
        await feelings.restore()
    except MemoryStoreError as error:
        notices.append(f"the mood does not come back: {error}")
    stack.push_async_callback(feelings.save, at_once=True)
    return feelings


def _chores(
    character: Character,
    settings: Settings,
    person: str,
    memory: AsyncMemory,
    engine: LlamaWorker,
    prompts: Callable[[Character], PromptBuilder],
    reading: Reading | None,
    states: Path,
) -> tuple[Chore, ...]:
    by_model = None
    if settings.memory.extract == "model":
        by_model = ExtractionChore(
            memory, engine, prompts, person=person, character=character.name, local_time=local_time
        )
    return tuple(
        memory_chores(
            memory,
            reading=reading,
            by_model=by_model,
            learns=settings.memory.extract != "off",
            person=person,
            character=character.name,
            keep_days=settings.memory.keep_days,
            keep_cited=settings.memory.keep_cited,
            states=states,
            local_time=local_time,
        )
    )
