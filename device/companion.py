"""Putting the companion together: from settings to an open dialogue, and from a dialogue and a sound port to a voice.

The one place that knows which classes work with which. Models load on the threads that will use them; everything opened
here is closed in reverse order, whatever happens.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import models
from device.continuity import Continuity, saved_messages
from device.dialogue import Dialogue, DialogueSettings
from device.engines import Found, choose_model, model_store
from device.errors import SettingsError
from device.fallback import chosen_server, with_server
from device.memory_file import memory_key
from device.mind import Mind, open_mind
from device.paths import memory_file, states_dir
from device.settings import UNNAMED_PERSON, Settings
from device.trace import Trace
from memory.errors import MemoryKeyError, MemoryStoreError
from memory.worker import AsyncMemory
from models.character import Character, load_character, starter_character
from models.engine import EngineSettings, LlamaEngine
from models.messages import Message, Prefilled
from models.prompt import STANDING_INSTRUCTIONS, PromptBuilder
from models.sampling import Sampling
from models.stops import ReplyLimits
from models.store import ModelStore
from models.worker import LlamaWorker

log = logging.getLogger(__name__)

RESTORED_TURNS = 8
"""Turns of the last conversation that come back into the prompt at start where no state of it was saved. Each costs
about 60 tokens of prefill before the first answer; older ones are found by recall."""

SAVE_TIMEOUT_S = 5.0
"""How long leaving may take to save the conversation: 35 MB for 1,500 tokens, 20 MB/s to a slow card."""

_CHARACTERS = Path(models.__file__).parent / "characters"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDialogue:
    """A dialogue ready to talk, with what a person may want to know about it: `settled` is what of the prompt so far
    had to be computed at this start."""

    dialogue: Dialogue
    mind: Mind
    settled: Prefilled | None
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where models, memory and saved states of the engine lie."""

    store: ModelStore
    memory: Path
    states: Path


def places(environ: Mapping[str, str]) -> Places:
    """Where these lie on this machine."""
    return Places(store=model_store(environ), memory=memory_file(environ), states=states_dir(environ))


def chosen_character(settings: Settings) -> Character:
    """The character of the settings, Pip if they name none."""
    return load_character(settings.character.file) if settings.character.file else starter_character()


def character_file(wanted: str) -> Path:
    """The file of a character as the command line names it: one that comes along, by its name, or any file.

    Raises SettingsError for what is neither; a file is not opened here.
    """
    bundled = {path.stem: path for path in sorted(_CHARACTERS.glob("*.toml"))}
    path = Path(wanted)
    if wanted in bundled:
        return bundled[wanted]
    if path.name == wanted and not path.suffix and not path.exists():
        raise SettingsError(
            f"--character {wanted}: no such character comes along; there are {', '.join(bundled)}; "
            "name one of them, or a file"
        )
    return path


@asynccontextmanager
async def open_dialogue(
    character: Character,
    settings: Settings,
    where: Places,
    on_notice: Callable[[str], None] = log.warning,
    trace: Trace | None = None,
) -> AsyncIterator[OpenDialogue]:
    """Open model and memory, continue the last conversation and prefill it. `on_notice` is told what a person should
    know of what happens later: that a server was lost, that it is back. `trace` is told what the character feels.

    Raises the errors of `device`, `models` and `memory`, before anything was said.
    """
    server = chosen_server(settings.server)  # before anything is opened: a mistake in it is told at once
    choice = choose_model(settings, where.store)
    person = settings.person.name or UNNAMED_PERSON
    async with AsyncExitStack() as stack:
        memory, no_memory = await _open_memory(stack, settings, where.memory)
        engine = await stack.enter_async_context(LlamaWorker.open(choice.path, engine_settings(settings, choice)))
        await engine.steer(character.steering)
        brain = await stack.enter_async_context(
            with_server(engine, server, on_notice, retry_after_s=settings.server.retry_after_s)
        )
        continuity = await stack.enter_async_context(
            Continuity(
                engine,
                where.states,
                person=person,
                character=character.name,
                keeps_talk=memory is not None and settings.memory.key_file is None,  # nothing encrypts it
            )
        )
        mind = await stack.enter_async_context(
            open_mind(
                character,
                settings,
                person=person,
                memory=memory,
                engine=engine,
                prompts=lambda other: prompt_builder(engine, other, settings, instructions=""),
                continuity=continuity,
                states=where.states,
                trace=trace,
                on_notice=on_notice,
            )
        )
        dialogue = Dialogue(
            brain=brain,
            tokenizer=engine.vocabulary,
            prompts=prompt_builder(engine, character, settings),
            mind=mind,
            on_turn_over=lambda history, n_recorded: _save_when_due(dialogue, continuity, history, n_recorded),
            settings=dialogue_settings(settings),
        )
        settled = await _continue(dialogue, continuity)
        notices = (choice.notice, memory.notice if memory else no_memory, *mind.notices)
        try:
            yield OpenDialogue(dialogue=dialogue, mind=mind, settled=settled, notices=tuple(filter(None, notices)))
        finally:
            await _keep(dialogue, mind, continuity)


async def _open_memory(stack: AsyncExitStack, settings: Settings, path: Path) -> tuple[AsyncMemory | None, str | None]:
    """The memory; where it cannot be used (a newer version's, no rights, a full disk), None and why. A conversation
    without is better than none, but one that was to be encrypted and lacks its key is a mistake in the settings."""
    if not settings.memory.enabled:
        return None, None
    try:
        return await stack.enter_async_context(AsyncMemory.open(path, memory_key(settings.memory))), None
    except MemoryKeyError:
        raise
    except MemoryStoreError as error:
        return None, f"nothing that is said now will be remembered: {error}"


async def _continue(dialogue: Dialogue, continuity: Continuity) -> Prefilled | None:
    """Bring back the last conversation: from what was saved of it, else from memory by way of a prefill."""
    saved = await continuity.read_talk()
    if await dialogue.restore(saved_messages(saved) if saved else ()):
        assert saved is not None, "nothing else was offered"
        await continuity.put_back_talk(saved)
        return await dialogue.settle()
    if saved:
        await continuity.forget_talk()
    if await continuity.put_back_head(dialogue.head):
        return await dialogue.settle()
    settled = await dialogue.settle()
    await continuity.keep_head(dialogue.head)
    return settled


async def _save_when_due(
    dialogue: Dialogue, continuity: Continuity, history: Sequence[Message], n_recorded: int
) -> None:
    """Save the conversation once in a while, with the cache as the history is: something may have been forgotten."""
    if continuity.is_due(n_recorded) and await dialogue.settle() is not None:
        await continuity.turn_over(history, n_recorded)


async def _keep(dialogue: Dialogue, mind: Mind, continuity: Continuity) -> None:
    try:
        async with asyncio.timeout(SAVE_TIMEOUT_S):
            await dialogue.turn_over()
            if mind.remembering is not None and (n_unkept := await mind.remembering.flush()):
                log.warning("%d turns could not be kept, and are lost", n_unkept)
            # Words may have left the history since the last reply, and would stay in the cache that is saved.
            if dialogue.is_off_record or await dialogue.settle() is None:
                await continuity.forget_talk()
            else:
                await continuity.keep_talk(dialogue.history, dialogue.n_recorded)
    except TimeoutError:
        log.warning("the conversation was not saved within %s s; the next start computes it anew", SAVE_TIMEOUT_S)


def prompt_builder(
    engine: LlamaWorker | LlamaEngine,
    character: Character,
    settings: Settings,
    instructions: str = STANDING_INSTRUCTIONS,
) -> PromptBuilder:
    """The builder of this character's prompts for this engine. Raises SettingsError where replies leave no room."""
    limits = reply_limits(settings)
    n_reply = limits.max_tokens + limits.thinking_tokens
    if n_reply >= engine.n_ctx:
        what = f"think.max_reply_tokens = {limits.max_tokens}"
        if limits.thinking_tokens:
            what += f" with think.thinking_tokens = {limits.thinking_tokens}"
        raise SettingsError(
            f"{what} leaves no room for a prompt in a context of {engine.n_ctx} tokens; "
            "lower it or raise think.context_tokens"
        )
    return PromptBuilder(
        engine.vocabulary,
        engine.chat_template(template_source(settings), thinking=limits.thinking_tokens > 0),
        character,
        n_ctx=engine.n_ctx,
        reply_reserve=n_reply,
        can_shift=engine.can_shift,
        instructions=instructions,
    )


def template_source(settings: Settings) -> str | None:
    """The chat template of the settings; None for the model's own. Raises SettingsError if it cannot be read."""
    path = settings.think.chat_template
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"think.chat_template = {path} cannot be read: {error}") from error


def engine_settings(settings: Settings, model: Found) -> EngineSettings:
    """The engine's part of the settings for this model; what they leave open is as the benchmark found it best."""
    think, tuning = settings.think, model.tuning
    if tuning is None or think.gpu_layers not in (-1, tuning.gpu_layers):  # nothing was measured for such a split
        kv_type = "f16" if think.kv_type == "auto" else think.kv_type
        return EngineSettings(
            n_ctx=think.context_tokens,
            n_batch=think.batch_tokens,
            threads=think.threads,
            gpu_layers=think.gpu_layers,
            kv_type=kv_type,
        )
    return EngineSettings(
        n_ctx=think.context_tokens,
        n_batch=think.batch_tokens or tuning.batch_tokens,
        threads=think.threads or tuning.threads,
        gpu_layers=tuning.gpu_layers,
        kv_type=tuning.kv_type if think.kv_type == "auto" else think.kv_type,
        flash_attention=tuning.flash_attention,
    )


def dialogue_settings(settings: Settings) -> DialogueSettings:
    """The dialogue's part of the settings."""
    return DialogueSettings(
        limits=reply_limits(settings),
        max_sentences=settings.think.max_sentences,
        language=settings.listen.language,
        sampling=sampling(settings),
        restore_turns=RESTORED_TURNS,
    )


def reply_limits(settings: Settings) -> ReplyLimits:
    """How long replies may become."""
    think = settings.think
    return ReplyLimits(
        max_tokens=think.max_reply_tokens, max_words=think.max_words, thinking_tokens=think.thinking_tokens
    )


def sampling(settings: Settings) -> Sampling:
    """The sampler's part of the settings."""
    think = settings.think
    return Sampling(
        temperature=think.temperature,
        top_k=think.top_k,
        top_p=think.top_p,
        min_p=think.min_p,
        top_n_sigma=think.top_n_sigma,
        repeat_penalty=think.repeat_penalty,
        presence_penalty=think.presence_penalty,
        frequency_penalty=think.frequency_penalty,
        dry_multiplier=think.dry_multiplier,
        xtc_probability=think.xtc_probability,
        xtc_threshold=think.xtc_threshold,
        seed=None if think.seed < 0 else think.seed,
    )
