"""Choosing the engines: which model thinks, which ear listens, which voice speaks, from the settings and what is here.

The one place that decides it. What the settings name must be here, or the choice fails; only "auto" may settle for
less, and then says so in a notice. Engines are imported and opened when `make` is called, which the caller does on the
thread that will use the engine.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Generic, TypeVar

from device.errors import EngineChoiceError
from device.packages import install_line
from device.paths import hub_cache_dir, models_dir
from device.settings import Settings
from device.tuning import Candidate, EngineTuning, Measurement, choose, judge, memory_budget_bytes, tuning_for
from device.tuning_file import measurements_here
from models.catalog import Kind
from models.errors import ModelError
from models.ram import read_ram
from models.store import ModelStore
from voice.seams import Synthesizer, Transcriber

EngineT = TypeVar("EngineT", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Generic[EngineT]):
    """An engine that was chosen: its `name` for people, how to `make` it (blocking, may raise the errors of its
    package), and a `notice` where something better could be had."""

    name: str
    make: Callable[[], EngineT]
    notice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A model that is here: its name for people, and its file or folder. Of a language model also how the benchmark
    found it best run (None where none was made), and a `notice` where a larger one is here that was passed over."""

    name: str
    path: Path
    tuning: EngineTuning | None = None
    notice: str | None = None


def model_store(environ: Mapping[str, str]) -> ModelStore:
    """The model store of this machine."""
    return ModelStore(models_dir(environ), hub_cache=hub_cache_dir(environ))


def choose_model(settings: Settings, store: ModelStore) -> Found:
    """The GGUF file of `think.model`, else the largest one pulled; where a benchmark was made, the largest that is
    quick enough and fits into memory. Raises EngineChoiceError."""
    measurements = measurements_here(store)
    if settings.think.model:
        found = _named(settings.think.model, "llm", "think.model", settings, store)
        return _tuned(found, settings, store, measurements)
    largest = _largest(store, "llm")
    if largest is None:
        raise EngineChoiceError("no language model is here: `familiar models pull starter` fetches a small one")
    here = [candidate for candidate in llm_candidates(store, measurements) if candidate.path is not None]
    verdicts = judge(
        here,
        measurements,
        n_ctx=settings.think.context_tokens,
        budget_bytes=memory_budget_bytes(read_ram().total_bytes),
    )
    best = choose(verdicts)
    if best is None or best.candidate.path is None:
        return largest
    passed_over = next(one for one in verdicts if one.candidate.name == largest.name)
    notice = None
    if best.candidate.name != largest.name:
        notice = (
            f"{largest.name} is here, but {passed_over.objection}: thinking with {best.candidate.name}. "
            f'model = "{largest.name}" under [think] takes it all the same.'
        )
    return Found(name=best.candidate.name, path=Path(best.candidate.path), tuning=best.tuning, notice=notice)


def choose_transcriber(settings: Settings, store: ModelStore) -> Choice[Transcriber]:
    """Whisper where a model for the language is here, else PocketSphinx with a notice. Raises EngineChoiceError."""
    listen = settings.listen
    if listen.engine == "sphinx":
        return _sphinx(listen.language)
    if listen.model:
        return _whisper(_named(listen.model, "asr", "listen.model", settings, store), listen.language)
    found = _largest(store, "asr", listen.language)
    if found is not None:
        return _whisper(found, listen.language)
    mend = _pull_hint(store, "asr", listen.language, "a better ear")
    if listen.engine == "whisper":
        raise EngineChoiceError(
            f"listen.engine = whisper, but no Whisper model for {listen.language!r} is here: {mend}"
        )
    notice = f"No Whisper model is here: listening with PocketSphinx, which mishears often. {mend}"
    return _sphinx(listen.language, notice)


def choose_synthesizer(settings: Settings, store: ModelStore) -> Choice[Synthesizer]:
    """Piper where a voice for the language is here, else eSpeak NG with a notice. Raises EngineChoiceError."""
    speak, language = settings.speak, settings.listen.language
    names_espeak = speak.voice != "" and not _is_piper_voice(speak.voice)
    if speak.engine == "espeak" or (speak.engine == "auto" and names_espeak):
        return _espeak(settings)
    if speak.voice:
        return _piper(_named(speak.voice, "tts", "speak.voice", settings, store), settings)
    found = _largest(store, "tts", language)
    if found is not None and (speak.engine == "piper" or _installed("piper")):
        return _piper(found, settings)
    mend = _pull_hint(store, "tts", language, "a better voice")
    if speak.engine == "piper":
        raise EngineChoiceError(f"speak.engine = piper, but no Piper voice for {language!r} is here: {mend}")
    if found is not None:
        why, mend = f"{found.name} is here, but not what plays it", f"`{install_line('piper-tts')}` brings it."
    else:
        why = "No Piper voice is here"
    return _espeak(settings, f"{why}: speaking with eSpeak NG, which sounds like a machine. {mend}".strip())


def models_to_measure(wanted: str | None, settings: Settings, store: ModelStore) -> list[Found]:
    """The language model of that name or file, else all that are here. Raises EngineChoiceError for none."""
    if wanted is not None:
        return [_named(wanted, "llm", "--model", replace(settings, source=None), store)]
    here = [(entry.name, store.find(entry.name)) for entry in store.catalog.entries if entry.kind == "llm"]
    found = [Found(name=name, path=path) for name, path in here if path is not None]
    if not found:
        raise EngineChoiceError("no language model is here: `familiar models pull starter` fetches a small one")
    return found


def llm_candidates(store: ModelStore, measurements: Sequence[Measurement]) -> list[Candidate]:
    """The language models of the catalogue, to be judged by `device.tuning`."""
    cache_bytes = {one.path: one.kv_bytes for one in measurements}
    candidates = []
    for entry in store.catalog.entries:
        if entry.kind != "llm" or entry.parameters_b is None:
            continue
        path = store.find(entry.name)
        candidates.append(
            Candidate(
                name=entry.name,
                path=str(path) if path else None,
                size_bytes=entry.size_bytes,
                n_parameters=entry.parameters_b * 1e9,
                kv_bytes=cache_bytes.get(str(path), entry.kv_bytes_per_token),
            )
        )
    return candidates


def _tuned(found: Found, settings: Settings, store: ModelStore, measurements: Sequence[Measurement]) -> Found:
    """The model with the way to run it."""
    known = (one for one in llm_candidates(store, measurements) if one.path == str(found.path))
    size_bytes = max(1, found.path.stat().st_size)
    own_file = Candidate(
        name=found.name, path=str(found.path), size_bytes=size_bytes, n_parameters=size_bytes * 8 / 4.5
    )
    tuning = tuning_for(
        next(known, own_file),
        measurements,
        n_ctx=settings.think.context_tokens,
        budget_bytes=memory_budget_bytes(read_ram().total_bytes),
    )
    return replace(found, tuning=tuning)


def _whisper(found: Found, language: str) -> Choice[Transcriber]:
    def make() -> Transcriber:
        from voice.whisper import WhisperTranscriber

        # Whisper knows no regions.
        return WhisperTranscriber(found.path, language=language.partition("-")[0].lower())

    return Choice(name=found.name, make=make)


def _sphinx(language: str, notice: str | None = None) -> Choice[Transcriber]:
    if not language.lower().startswith("en"):
        raise EngineChoiceError(
            f"listen.language = {language!r}, but without a Whisper model only English is understood: "
            "`familiar models pull whisper-tiny` fetches one for 99 languages"
        )
    if not _installed("pocketsphinx"):
        raise EngineChoiceError(
            f"there is no ear: `{install_line('pocketsphinx')}`, or `familiar models pull whisper-tiny.en`"
        )

    def make() -> Transcriber:
        from voice.sphinx import SphinxTranscriber

        return SphinxTranscriber()

    return Choice(name="pocketsphinx", make=make, notice=notice)


def _piper(found: Found, settings: Settings) -> Choice[Synthesizer]:
    if not _installed("piper"):
        raise EngineChoiceError(f"{found.name} needs the package piper-tts: `{install_line('piper-tts')}`")

    def make() -> Synthesizer:
        from voice.piper import PiperSynthesizer

        return PiperSynthesizer(found.path, length_scale=settings.speak.length_scale or None)

    return Choice(name=found.name, make=make)


def _espeak(settings: Settings, notice: str | None = None) -> Choice[Synthesizer]:
    if not _installed("espeakng_loader"):
        raise EngineChoiceError(f"there is no voice: `{install_line('espeakng-loader')}`")
    voice = settings.speak.voice or settings.listen.language

    def make() -> Synthesizer:
        from voice.espeak import EspeakSynthesizer

        return EspeakSynthesizer(voice, rate_wpm=settings.speak.rate_wpm)

    return Choice(name=f"espeak-ng {voice}", make=make, notice=notice)


def _named(wanted: str, kind: Kind, setting: str, settings: Settings, store: ModelStore) -> Found:
    """The model that a setting names: a file or folder where it looks like a path, else a name of the catalogue."""
    if "/" in wanted or wanted.endswith((".gguf", ".onnx")):
        path = settings.folder / _expanded(wanted)
        if not path.exists():
            raise EngineChoiceError(f"{setting} = {wanted!r}: there is no such file or folder")
        return Found(name=path.stem, path=path)
    try:
        entry = store.catalog.require(wanted)
    except ModelError as error:
        raise EngineChoiceError(f"{setting} = {wanted!r}: {error}") from error
    if entry.kind != kind:
        raise EngineChoiceError(
            f"{setting} = {wanted!r}: that model {_TRADES[entry.kind]}, a model that {_TRADES[kind]} is wanted"
        )
    found = store.find(entry.name)
    if found is None:
        raise EngineChoiceError(f"{setting} = {wanted!r} is not here: `familiar models pull {entry.name}` fetches it")
    return Found(name=entry.name, path=found)


def _expanded(wanted: str) -> Path:
    try:
        return Path(wanted).expanduser()
    except RuntimeError:  # the home of a user that does not exist: such a path is just not there
        return Path(wanted)


_TRADES: dict[Kind, str] = {
    "llm": "thinks",
    "asr": "listens",
    "tts": "speaks",
    "encoder": "compares meanings",
    "turn": "hears the end of a turn",
}


def _largest(store: ModelStore, kind: Kind, language: str | None = None) -> Found | None:
    """The largest model of the kind and language that is here: who has pulled a larger one wants it used."""
    able = [
        entry for entry in store.catalog.entries if entry.kind == kind and (language is None or entry.speaks(language))
    ]
    for entry in sorted(able, key=lambda entry: entry.size_bytes, reverse=True):
        path = store.find(entry.name)
        if path is not None:
            return Found(name=entry.name, path=path)
    return None


def _is_piper_voice(name: str) -> bool:
    """Whether the name is that of a file, or of the form of Piper's ("en_GB-alba-medium"), which eSpeak's never are."""
    return name.endswith(".onnx") or re.match(r"[a-z]{2,3}_[A-Z]{2}-", name) is not None


def _pull_hint(store: ModelStore, kind: Kind, language: str, what: str) -> str:
    fitting = (entry for entry in store.catalog.entries if entry.kind == kind and entry.speaks(language))
    first = next(fitting, None)
    return f"`familiar models pull {first.name}` fetches {what}." if first else ""


def _installed(package: str) -> bool:
    return find_spec(package) is not None
