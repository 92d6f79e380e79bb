"""The settings: one frozen tree of documented values. A component receives its own section only.

How the tree is read from a file and the environment, and what is allowed, is left to `device.settings_file`.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

UNNAMED_PERSON = "you"
"""The person of a companion that has not been told a name."""


def setting(doc: str, *, default: Any, low: float = -math.inf, high: float = math.inf) -> Any:
    """A documented setting; numbers may be bounded, both ends included."""
    return field(default=default, metadata={"doc": doc, "low": low, "high": high})


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterSettings:
    """Who speaks."""

    file: Path | None = setting("character file; empty: Pip, who comes along", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSettings:
    """Which microphone and speaker; devices are chosen by name because their numbers change."""

    microphone: str = setting("name of the microphone or a part of it; empty: the system's default", default="")
    speaker: str = setting("name of the speaker or a part of it; empty: the system's default", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings:
    """Speech recognition and turn-taking."""

    engine: Literal["auto", "whisper", "sphinx"] = setting(
        "recogniser; auto: Whisper where a model is here", default="auto"
    )
    model: str = setting(
        "Whisper model: a name of the catalogue or a folder; empty: the largest one pulled", default=""
    )
    language: str = setting("language that is spoken, as ISO 639-1 code", default="en")
    pause_ms: int = setting("silence after which the words so far are recognised", default=200, low=64, high=2000)
    hangover_ms: int = setting("silence that ends a turn", default=550, low=128, high=5000)
    barge_in: bool = setting("whether speaking interrupts the character", default=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakSettings:
    """The voice."""

    engine: Literal["auto", "piper", "espeak"] = setting(
        "synthesizer; auto: Piper where a voice is here", default="auto"
    )
    voice: str = setting(
        "Piper: a voice of the catalogue or an .onnx file, empty: one that was pulled; eSpeak: its voice's name",
        default="",
    )
    rate_wpm: int = setting("eSpeak: words per minute", default=165, low=80, high=450)
    length_scale: float = setting(
        "Piper: length of the sounds, above 1 is slower; 0: the voice's own", default=0.0, low=0.0, high=3.0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkSettings:
    """The language model."""

    model: str = setting(
        "a name of the catalogue or a .gguf file; empty: the largest one pulled that is quick enough as far as "
        "`familiar models bench` has measured",
        default="",
    )
    chat_template: Path | None = setting(
        "file with a chat template (Jinja) in place of the model's own; empty: the model's own", default=None
    )
    context_tokens: int = setting("context window", default=2048, low=512, high=131_072)
    threads: int = setting(
        "threads of the engine; 0: what `familiar models bench` found, else all physical cores but one, at most 4",
        default=0,
        low=0,
        high=256,
    )
    batch_tokens: int = setting(
        "tokens of a prompt that are computed at once; 0: what `familiar models bench` found, else 64, on a GPU 512",
        default=0,
        low=0,
        high=4096,
    )
    kv_type: Literal["auto", "f16", "q8_0"] = setting(
        "how the context is kept: q8_0 takes half the memory and is slower; auto: q8_0 only where the model would not "
        "fit otherwise, as far as `familiar models bench` can tell",
        default="auto",
    )
    gpu_layers: int = setting(
        "layers on the GPU, where llama.cpp was built for one; -1: as `familiar models bench` found quicker, else all",
        default=-1,
        low=-1,
        high=1000,
    )
    temperature: float = setting("randomness; 0: always the likeliest word", default=0.4, low=0.0, high=2.0)
    min_p: float = setting(
        "words less likely than this share of the likeliest are left out", default=0.05, low=0.0, high=0.99
    )
    top_k: int = setting("so many of the likeliest words are considered; 0: all", default=40, low=0, high=100_000)
    top_p: float = setting(
        "the likeliest words with this probability together are considered; 1: all", default=1.0, low=0.01, high=1.0
    )
    top_n_sigma: float = setting(
        "words are considered that lie within so many standard deviations of the likeliest; 0: all",
        default=0.0,
        low=0.0,
        high=10.0,
    )
    repeat_penalty: float = setting("how strongly repetition is avoided; 1: not at all", default=1.1, low=1.0, high=2.0)
    presence_penalty: float = setting(
        "how strongly every word is avoided that the reply has; 0: not at all", default=0.0, low=-2.0, high=2.0
    )
    frequency_penalty: float = setting(
        "the same, as often as the reply has it; 0: not at all", default=0.0, low=-2.0, high=2.0
    )
    dry_multiplier: float = setting(
        "how strongly whole phrases are kept from coming again (DRY; 0.8 is usual); 0: not at all",
        default=0.0,
        low=0.0,
        high=5.0,
    )
    xtc_probability: float = setting(
        "how often the most expected words are left out (XTC); 0: never", default=0.0, low=0.0, high=1.0
    )
    xtc_threshold: float = setting(
        "probability from which XTC takes a word for expected", default=0.1, low=0.0, high=0.5
    )
    max_sentences: int = setting("sentences after which a reply ends", default=3, low=1, high=1000)
    max_words: int = setting(
        "words after which a reply ends, with its next clause or eight words later; 0: any number",
        default=0,
        low=0,
        high=1000,
    )
    max_reply_tokens: int = setting("longest reply", default=80, low=8, high=4096)
    thinking_tokens: int = setting(
        "tokens a model may think, unheard, before a reply; 0: it is asked not to", default=0, low=0, high=8192
    )
    speculate: bool = setting(
        "whether a reply is begun, unheard, while the person may still go on: it is there at once, and was in vain if "
        "they do go on",
        default=True,
    )
    seed: int = setting("seed of the randomness; -1: another one each time", default=-1, low=-1, high=2**32 - 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """A server that thinks in place of the model here; the model here takes over while the server is gone."""

    url: str = setting(
        "where an OpenAI-compatible API begins, such as http://192.168.1.5:8080/v1: everything said goes there; "
        "empty: nothing does",
        default="",
    )
    model: str = setting("the model's name on the server; empty: the one that it has", default="")
    key_file: Path | None = setting("file with the key that the server wants; empty: it wants none", default=None)
    first_token_timeout_s: float = setting(
        "how long the server may take to begin a reply before the model here gives it", default=3.0, low=0.2, high=120.0
    )
    stall_timeout_s: float = setting(
        "silence of the server within a reply after which the reply ends", default=3.0, low=0.2, high=120.0
    )
    retry_after_s: float = setting(
        "how long after a failure the server is asked again; after each further one twice as long, up to five minutes",
        default=10.0,
        low=1.0,
        high=300.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySettings:
    """What is remembered."""

    enabled: bool = setting("whether conversations are kept on this machine's disk", default=True)
    recall_items: int = setting("most memories that a turn brings back", default=2, low=0, high=20)
    recall_tokens: int = setting(
        "most tokens that they take of a prompt, where they are computed anew in every turn",
        default=60,
        low=0,
        high=2000,
    )
    recall_feelings: Literal["none", "c-a", "c-m", "s-c", "s-s"] = setting(
        "how feelings count in what comes back: not at all; added to meaning (c-a) or multiplied with it (c-m); in "
        "sequence, first by meaning (s-c) or first by feeling (s-s)",
        default="c-a",
    )
    extract: Literal["off", "rules", "model"] = setting(
        "how facts are learned from what a person says: by rules, which are English; by the language model as well, in "
        "idle time, which one below a billion parameters does badly",
        default="rules",
    )
    spoken_forgetting: bool = setting(
        'whether "forget everything" and "forget about ..." are done when somebody says so; "forget that" always is',
        default=True,
    )
    keep_days: int = setting(
        "days after which what was said is forgotten, with what was made of it; 0: it is kept for ever",
        default=0,
        low=0,
        high=36500,
    )
    keep_cited: bool = setting(
        "whether words from which something known was learned, such as a name, stay beyond keep_days", default=False
    )
    key_file: Path | None = setting(
        "file with the key that encrypts the memory: 32 bytes or a line of text, readable by its owner alone; empty: "
        "the memory is not encrypted. Of a memory that is there, `familiar memory encrypt` makes an encrypted one",
        default=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeelingsSettings:
    """What the character feels."""

    enabled: bool = setting(
        "whether the character has moods, which colour its words, its voice and its body", default=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """What is answered by rule, and what the character never says. Rules cover the languages en, de, es and zh; in
    another one, only private data is found, by its form."""

    enabled: bool = setting(
        "whether the guard listens and reads along; without it, the model alone decides", default=True
    )
    profile: Literal["child", "adult"] = setting(
        "for whom; for an adult, only self-harm, abuse, emergencies, bombs and secrets are answered by rule",
        default="child",
    )
    emergency_hint: str = setting(
        "said at the end of an answer where help is needed now, such as: You can call 112 or ring Aunt Mia.", default=""
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSettings:
    """Who is spoken to."""

    name: str = setting("what the character calls you; empty: it has to ask", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole tree. `source` is the file it was read from, None for the defaults."""

    source: Path | None = None
    character: CharacterSettings = CharacterSettings()
    audio: AudioSettings = AudioSettings()
    listen: ListenSettings = ListenSettings()
    speak: SpeakSettings = SpeakSettings()
    think: ThinkSettings = ThinkSettings()
    server: ServerSettings = ServerSettings()
    memory: MemorySettings = MemorySettings()
    feelings: FeelingsSettings = FeelingsSettings()
    guard: GuardSettings = GuardSettings()
    person: PersonSettings = PersonSettings()

    @property
    def folder(self) -> Path:
        """Where relative paths count from: the folder of the file, without one the working directory."""
        return self.source.parent if self.source else Path.cwd()
