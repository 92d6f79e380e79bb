"""The doctor: what this machine has, what is missing, and how to mend it.

Reads the machine (`device.board`, the state directory, native libraries through `device.probes`) and the settings,
changes nothing, and returns a list of checks. What is said of the board itself is in `device.board_checks`; showing the
checks is left to the command line.
"""

import asyncio
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from device import engines
from device.board import Board, read_board
from device.board_checks import bench_check, board_checks, build_checks, gpu_check
from device.checks import Check
from device.companion import chosen_character, engine_settings, template_source
from device.errors import EngineChoiceError, SettingsError
from device.fallback import server_found
from device.mind_checks import mind_checks
from device.packages import install_line, rebuild_line
from device.probes import ProbeError, ask
from device.settings import AudioSettings, ServerSettings, Settings
from device.settings_file import load_settings
from device.steering_probe import steering_troubles
from device.tuning_file import measurements_here
from models.engine import EngineSettings
from models.errors import CharacterError, ModelFileError, RemoteError, TemplateError
from models.gguf import read_gguf_header
from models.store import ModelStore
from models.template import ChatTemplate
from voice.errors import AudioDeviceError
from voice.soundcards import AudioDevice, Side, choose_device


def read_settings(path: Path | None, environ: Mapping[str, str]) -> tuple[Settings, Check]:
    """The settings and what is to be said about them; with mistakes in them, the defaults, so that the rest of the
    machine can be looked at all the same."""
    try:
        settings = load_settings(path, environ)
    except SettingsError as error:
        return Settings(), Check(name="settings", status="fail", what=str(error), mend="correct the mistakes")
    what = str(settings.source) if settings.source else "the defaults; there is no settings file"
    return settings, Check(name="settings", status="ok", what=what)


def run_checks(settings: Settings, store: ModelStore, memory_path: Path) -> list[Check]:
    """All checks, in the order in which a person would mend them. Takes a second or two; a hung audio server or GPU
    driver costs at most the limit of `device.probes` each."""
    board = read_board()
    return [
        _python(),
        *board_checks(board),
        _disk(store.root),
        *_llama(board),
        bench_check(settings, store, board, measurements_here(store)),
        _mind(settings, store),
        *_server(settings.server),
        *_template(settings),
        _character(settings),
        *_steering(settings, store),
        *_audio(settings.audio),
        _chosen("ear", lambda: engines.choose_transcriber(settings, store)),
        _chosen("voice", lambda: engines.choose_synthesizer(settings, store)),
        *(_package(name, use) for name, use in _PACKAGES),
        *mind_checks(settings, memory_path),
    ]


_PACKAGES = (
    ("faster-whisper", "recognises speech"),
    ("pocketsphinx", "recognises speech without a model to pull"),
    ("piper-tts", "speaks with Piper voices"),
    ("espeakng-loader", "speaks with eSpeak NG"),
)


def _python() -> Check:
    return Check(name="python", status="ok", what=f"{platform.python_version()} at {sys.executable}")


def _disk(folder: Path) -> Check:
    there = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    free = shutil.disk_usage(there).free
    what = f"{free / 1e9:.1f} GB are free for {folder.parent}"
    if not os.access(there, os.W_OK):
        mend = f"make {there} writable for you, or set $FAMILIAR_STATE"
        return Check(name="disk", status="fail", what=f"{there} is not writable", mend=mend)
    if free < 500e6:
        return Check(name="disk", status="warn", what=what, mend="free some space, or set $FAMILIAR_STATE")
    return Check(name="disk", status="ok", what=what)


def _llama(board: Board) -> list[Check]:
    try:
        answer = ask("llama")
    except ProbeError as error:
        mend = (rebuild_line if find_spec("llama_cpp") else install_line)("llama-cpp-python")
        return [Check(name="llama.cpp", status="fail", what=str(error), mend=mend)]
    offload = "offloads to the GPU" if answer["gpu_offload"] else "runs on the processor"
    said = Check(name="llama.cpp", status="ok", what=f"llama-cpp-python {answer['version']}, {offload}")
    return [said, *build_checks(board, answer), gpu_check(board, answer)]


def _audio(wanted: AudioSettings) -> list[Check]:
    try:
        answer = ask("audio")
    except ProbeError as error:
        mend = "sudo apt install libportaudio2; if it is there: restart the audio server"
        return [Check(name="audio", status="fail", what=str(error), mend=mend)]
    devices = [AudioDevice(**device) for device in answer["devices"]]
    return [
        Check(name="audio", status="ok", what=answer["version"]),
        _sound_device("microphone", [device for device in devices if device.inputs], wanted.microphone),
        _sound_device("speaker", [device for device in devices if device.outputs], wanted.speaker),
    ]


def _sound_device(side: Side, devices: Sequence[AudioDevice], wanted: str) -> Check:
    """The device that talking would use, and the names of the others, by which the settings may choose them."""
    if not devices:
        mend = "plug one in, or converse in writing: familiar talk --text"
        return Check(name=side, status="fail" if wanted else "warn", what="there is none", mend=mend)
    names = dict.fromkeys(device.name for device in devices)  # one device may be reached in several ways
    try:
        used = choose_device(devices, side, wanted).name
    except AudioDeviceError as error:
        return Check(name=side, status="fail", what=", ".join(names), mend=f"{error}, under [audio] in the settings")
    others = [name for name in names if name != used]
    return Check(name=side, status="ok", what=f"{used}; also there: {', '.join(others)}" if others else used)


def _mind(settings: Settings, store: ModelStore) -> Check:
    try:
        found = engines.choose_model(settings, store)
        header = read_gguf_header(found.path)
    except EngineChoiceError as error:
        return Check(name="mind", status="fail", what="there is none", mend=str(error))
    except ModelFileError as error:
        return Check(name="mind", status="fail", what="its file cannot be used", mend=str(error))
    what = f"{found.name}, {header.quantisation}, {header.file_bytes / 1e6:.0f} MB"
    if found.tuning is not None:
        what += f"; {_run(engine_settings(settings, found))}"
    if found.notice:
        return Check(name="mind", status="warn", what=what, mend=found.notice)
    if 0 < header.context_length < settings.think.context_tokens:
        mend = f"think.context_tokens is more than the {header.context_length} that it was trained for"
        return Check(name="mind", status="warn", what=what, mend=mend)
    return Check(name="mind", status="ok", what=what)


def _run(engine: EngineSettings) -> str:
    threads = "one thread" if engine.threads == 1 else f"{engine.threads} threads"
    where = "the processor" if engine.gpu_layers == 0 else "the GPU"
    return f"run on {where} with {threads}, batches of {engine.n_batch}, a cache in {engine.kv_type}"


def _server(settings: ServerSettings) -> list[Check]:
    if not settings.url:
        return []
    try:
        return [Check(name="server", status="ok", what=asyncio.run(server_found(settings)))]
    except SettingsError as error:  # of which talking dies; the address is not shown: it may hold a password
        return [Check(name="server", status="fail", what="its settings cannot be used", mend=str(error))]
    except RemoteError as error:
        what = f"none to be used at {settings.url}: the model here answers"
        return [Check(name="server", status="warn", what=what, mend=str(error))]


def _template(settings: Settings) -> list[Check]:
    path, name = settings.think.chat_template, "chat template"
    try:
        source = template_source(settings)
        if source is None:
            return []
        ChatTemplate(source, model_name=str(path))
    except (SettingsError, TemplateError) as error:
        return [Check(name=name, status="fail", what=f"{path} cannot be used", mend=str(error))]
    return [Check(name=name, status="ok", what=str(path))]


def _character(settings: Settings) -> Check:
    path = settings.character.file
    try:
        name = chosen_character(settings).name
    except CharacterError as error:
        return Check(name="character", status="fail", what=f"{path} cannot be used", mend=str(error))
    return Check(name="character", status="ok", what=f"{name}, from {path}" if path else f"{name}, who comes along")


def _steering(settings: Settings, store: ModelStore) -> list[Check]:
    """What the character lays over the model, if it does."""
    try:
        steering = chosen_character(settings).steering
        model = engines.choose_model(settings, store)
    except (CharacterError, EngineChoiceError):
        return []  # said of the character, or of the mind
    n_files = len(steering.scales()) + len(steering.strengths())
    if not n_files:
        return []
    try:
        troubles = steering_troubles(model.path, steering)
    except ProbeError as error:
        troubles = (str(error),)
    if troubles:
        what = f"the character's files cannot be laid over {model.name}"
        return [Check(name="steering", status="fail", what=what, mend="; ".join(troubles))]
    files = "one file fits" if n_files == 1 else f"{n_files} files fit"
    return [Check(name="steering", status="ok", what=f"{files} {model.name}")]


def _chosen(name: str, choose: Callable[[], engines.Choice[object]]) -> Check:
    try:
        choice = choose()
    except EngineChoiceError as error:
        return Check(name=name, status="fail", what="there is none", mend=str(error))
    if choice.notice:
        return Check(name=name, status="warn", what=choice.name, mend=choice.notice)
    return Check(name=name, status="ok", what=choice.name)


def _package(name: str, use: str) -> Check:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name=name, status="warn", what=f"not installed; it {use}", mend=install_line(name))
    return Check(name=name, status="ok", what=f"{version} {use}")
