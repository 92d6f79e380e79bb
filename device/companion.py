"""Putting the companion together: from settings to an open dialogue, and from a dialogue and a sound port to a voice.

The one place that knows which classes work with which. Models load on the threads that will use them; everything opened
here is closed in reverse order, whatever happens.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import models
from device.dialogue import Dialogue, DialogueSettings
from device.engines import choose_model, model_store
from device.errors import SettingsError
from device.paths import memory_file
from device.settings import Settings
from memory.worker import AsyncMemory
from models.character import Character, load_character, starter_character
from models.engine import EngineSettings, LlamaEngine
from models.prompt import PromptBuilder
from models.sampling import Sampling
from models.store import ModelStore
from models.worker import LlamaWorker

RESTORED_TURNS = 8
"""Turns of the last conversation that come back into the prompt at start. Each costs about 60 tokens of prefill before
the first answer; older ones are found by recall."""

_CHARACTERS = Path(models.__file__).parent / "characters"

UNNAMED_PERSON = "you"
"""The person of a companion that has not been told a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDialogue:
    """A dialogue ready to talk, with what a person may want to know about it."""

    dialogue: Dialogue
    n_restored: int
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where models and memory lie."""

    store: ModelStore
    memory: Path


def places(environ: Mapping[str, str]) -> Places:
    """Where models and memory lie on this machine."""
    return Places(store=model_store(environ), memory=memory_file(environ))


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
async def open_dialogue(character: Character, settings: Settings, where: Places) -> AsyncIterator[OpenDialogue]:
    """Open model and memory, continue the last conversation and prefill it.

    Raises the errors of `device`, `models` and `memory`, before anything was said.
    """
    choice = choose_model(settings, where.store)
    async with AsyncExitStack() as stack:
        memory = None
        if settings.memory.enabled:
            memory = await stack.enter_async_context(AsyncMemory.open(where.memory))
        engine = await stack.enter_async_context(LlamaWorker.open(choice.path, engine_settings(settings)))
        prompts = prompt_builder(engine, character, settings)
        dialogue = Dialogue(
            brain=engine,
            tokenizer=engine.vocabulary,
            prompts=prompts,
            memory=memory,
            settings=DialogueSettings(
                person=settings.person.name or UNNAMED_PERSON,
                character=character.name,
                max_reply_tokens=settings.think.max_reply_tokens,
                max_sentences=settings.think.max_sentences,
                language=settings.listen.language,
                sampling=sampling(settings),
                restore_turns=RESTORED_TURNS,
                recall_items=settings.memory.recall_items,
            ),
        )
        n_restored = await dialogue.restore()
        await dialogue.settle()
        notice = memory.notice if memory else None
        yield OpenDialogue(dialogue=dialogue, n_restored=n_restored, notices=(notice,) if notice else ())


def prompt_builder(engine: LlamaWorker | LlamaEngine, character: Character, settings: Settings) -> PromptBuilder:
    """The builder of this character's prompts for this engine. Raises SettingsError where replies leave no room."""
    n_reply = settings.think.max_reply_tokens
    if n_reply >= engine.n_ctx:
        raise SettingsError(
            f"think.max_reply_tokens = {n_reply} leaves no room for a prompt in a context of {engine.n_ctx} tokens; "
            "lower it or raise think.context_tokens"
        )
    return PromptBuilder(
        engine.vocabulary,
        engine.chat_template(template_source(settings)),
        character,
        n_ctx=engine.n_ctx,
        reply_reserve=n_reply,
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


def engine_settings(settings: Settings) -> EngineSettings:
    """The engine's part of the settings."""
    think = settings.think
    return EngineSettings(n_ctx=think.context_tokens, threads=think.threads, gpu_layers=think.gpu_layers)


def sampling(settings: Settings) -> Sampling:
    """The sampler's part of the settings."""
    think = settings.think
    return Sampling(
        temperature=think.temperature,
        min_p=think.min_p,
        repeat_penalty=think.repeat_penalty,
        seed=None if think.seed < 0 else think.seed,
    )
