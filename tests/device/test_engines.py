"""Choosing engines: what is here decides, what the settings name must be here, and settling for less is said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device import engines
from device.board import read_board
from device.companion import engine_settings
from device.engines import choose_model, choose_synthesizer, choose_transcriber, llm_candidates, models_to_measure
from device.errors import EngineChoiceError
from device.settings import ListenSettings, Settings, SpeakSettings, ThinkSettings
from device.tuning import Measurement, Speeds
from device.tuning_file import llama_build, machine_key, tuning_file, write_measurements
from models.engine import EngineSettings
from models.ram import Ram
from models.store import ModelStore
from tests.assets import ASSETS, WITHOUT_ASSETS
from tests.device.measured import of_file


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def put(store: ModelStore, name: str) -> Path:
    """Files of the right sizes, without content: all that finding looks at."""
    entry = store.catalog.require(name)
    store.folder(entry).mkdir(parents=True)
    for file in entry.files:
        with (store.folder(entry) / file.name).open("wb") as out:
            out.truncate(file.size_bytes)
    return store.folder(entry)


def listening(**changes: Any) -> Settings:
    return Settings(listen=ListenSettings(**changes))


def speaking(**changes: Any) -> Settings:
    return Settings(speak=SpeakSettings(**changes))


def without(packages: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name in packages else name)


# What thinks ----------------------------------------------------------------------------------------------------------


def test_the_largest_model_that_was_pulled_thinks(store: ModelStore) -> None:
    folder = put(store, "smollm2-135m")
    assert choose_model(Settings(), store).path == folder / "SmolLM2-135M-Instruct.Q4_1.gguf"
    put(store, "qwen2.5-0.5b")
    assert choose_model(Settings(), store).name == "qwen2.5-0.5b"


def test_without_a_model_the_way_to_one_is_said(store: ModelStore) -> None:
    with pytest.raises(EngineChoiceError, match="models pull starter"):
        choose_model(Settings(), store)


def test_a_model_that_is_named_must_be_here(store: ModelStore) -> None:
    put(store, "smollm2-135m")
    with pytest.raises(EngineChoiceError, match=r"think\.model = 'qwen2.5-0.5b' is not here"):
        choose_model(Settings(think=ThinkSettings(model="qwen2.5-0.5b")), store)


def test_a_model_that_is_named_must_be_of_the_right_kind(store: ModelStore) -> None:
    put(store, "whisper-tiny")
    with pytest.raises(EngineChoiceError, match="that model listens, a model that thinks is wanted"):
        choose_model(Settings(think=ThinkSettings(model="whisper-tiny")), store)


def test_a_model_may_be_named_by_its_file(store: ModelStore, tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.touch()
    found = choose_model(Settings(think=ThinkSettings(model=str(own))), store)
    assert (found.name, found.path) == ("own", own)
    with pytest.raises(EngineChoiceError, match="no such file"):
        choose_model(Settings(think=ThinkSettings(model=str(tmp_path / "other.gguf"))), store)
    with pytest.raises(EngineChoiceError, match="no such file"):
        choose_model(Settings(think=ThinkSettings(model="~nobody-of-that-name/x.gguf")), store)


def test_a_relative_file_counts_from_the_folder_of_the_settings(store: ModelStore, tmp_path: Path) -> None:
    pytest.importorskip("piper")
    folder = tmp_path / "etc"
    (folder / "ear").mkdir(parents=True)
    for name in ("own.gguf", "own.onnx"):
        (folder / name).touch()
    settings = Settings(
        source=folder / "familiar.toml",
        think=ThinkSettings(model="own.gguf"),
        listen=ListenSettings(model="./ear"),
        speak=SpeakSettings(voice="own.onnx"),
    )
    assert choose_model(settings, store).path == folder / "own.gguf"
    assert choose_transcriber(settings, store).name == "ear"
    assert choose_synthesizer(settings, store).name == "own"


def test_without_a_settings_file_a_relative_file_counts_from_the_working_directory(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.gguf").touch()
    monkeypatch.chdir(tmp_path)
    assert choose_model(Settings(think=ThinkSettings(model="./own.gguf")), store).path == tmp_path / "own.gguf"


# What thinks, after a benchmark ---------------------------------------------------------------------------------------


def measured(store: ModelStore, name: str, **figures: Any) -> Measurement:
    """A measurement of a model that is here."""
    path = store.find(name)
    assert path is not None
    return of_file(path, model=name, **figures)


def keep(store: ModelStore, *measurements: Measurement) -> None:
    write_measurements(tuning_file(store), machine_key(read_board(), llama_build()), measurements)


def test_a_larger_model_that_is_too_slow_is_passed_over_and_that_is_said(store: ModelStore) -> None:
    put(store, "smollm2-135m")
    put(store, "smollm2-1.7b")
    keep(store, measured(store, "smollm2-135m"))
    found = choose_model(Settings(), store)
    assert found.name == "smollm2-135m"
    assert found.notice is not None
    assert found.notice.startswith("smollm2-1.7b is here, but ")
    assert "tokens/s are slower than people listen" in found.notice
    assert 'model = "smollm2-1.7b"' in found.notice


def test_the_largest_that_is_quick_enough_thinks_without_a_notice(store: ModelStore) -> None:
    put(store, "smollm2-135m")
    put(store, "smollm2-360m")
    quick = Speeds(prefill_tps=2000.0, decode_tps=200.0)
    keep(store, measured(store, "smollm2-135m", empty=quick, full=quick, threads=3))
    found = choose_model(Settings(), store)
    assert (found.name, found.notice) == ("smollm2-360m", None)
    assert found.tuning is not None
    assert found.tuning.threads == 3


def test_what_is_not_measured_takes_the_cache_that_the_catalogue_knows(store: ModelStore) -> None:
    put(store, "smollm2-135m")
    candidates = {one.name: one for one in llm_candidates(store, [])}
    for entry in store.catalog.entries:
        if entry.kind == "llm":
            assert candidates[entry.name].kv_bytes == entry.kv_bytes_per_token > 0
    measurements = [measured(store, "smollm2-135m", kv_bytes=999)]
    assert {one.name: one.kv_bytes for one in llm_candidates(store, measurements)}["smollm2-135m"] == 999


def test_a_model_with_a_narrow_cache_is_not_refused_for_its_memory(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """28,672 bytes a token; 200,000 would make 3.3 GB of cache where there are 0.5."""
    put(store, "smollm2-135m")
    put(store, "qwen2.5-1.5b")
    monkeypatch.setattr(engines, "read_ram", lambda: Ram(total_bytes=4 * 10**9, available_bytes=4 * 10**9))
    quick = Speeds(prefill_tps=9000.0, decode_tps=900.0)
    keep(store, measured(store, "smollm2-135m", empty=quick, full=quick, n_ctx=4096))
    found = choose_model(Settings(think=ThinkSettings(context_tokens=16_384)), store)
    assert (found.name, found.notice) == ("qwen2.5-1.5b", None)


def test_a_model_that_is_named_is_taken_however_slow(store: ModelStore, tmp_path: Path) -> None:
    put(store, "smollm2-135m")
    put(store, "smollm2-1.7b")
    keep(store, measured(store, "smollm2-135m", batch_tokens=32))
    named = choose_model(Settings(think=ThinkSettings(model="smollm2-1.7b")), store)
    assert (named.name, named.notice) == ("smollm2-1.7b", None)
    own = tmp_path / "own.gguf"
    own.touch()
    for found in (named, choose_model(Settings(think=ThinkSettings(model=str(own))), store)):
        assert found.tuning is not None
        assert found.tuning.batch_tokens == 32


def test_figures_of_another_machine_choose_nothing(store: ModelStore) -> None:
    put(store, "smollm2-135m")
    put(store, "smollm2-1.7b")
    write_measurements(tuning_file(store), "another machine", [measured(store, "smollm2-135m")])
    found = choose_model(Settings(), store)
    assert (found.name, found.tuning, found.notice) == ("smollm2-1.7b", None, None)


def test_the_engine_runs_as_the_benchmark_found_best_unless_the_settings_say_otherwise(store: ModelStore) -> None:
    put(store, "smollm2-135m")
    keep(store, measured(store, "smollm2-135m", threads=3, batch_tokens=128, flash_attention=True))
    found = choose_model(Settings(), store)
    assert engine_settings(Settings(), found) == EngineSettings(
        n_ctx=2048, n_batch=128, threads=3, gpu_layers=0, kv_type="f16", flash_attention=True
    )
    own = Settings(think=ThinkSettings(threads=2, batch_tokens=16, kv_type="q8_0"))
    assert engine_settings(own, found) == EngineSettings(
        n_ctx=2048, n_batch=16, threads=2, gpu_layers=0, kv_type="q8_0", flash_attention=True
    )
    split = Settings(think=ThinkSettings(gpu_layers=10))
    assert engine_settings(split, found) == EngineSettings(gpu_layers=10), "nothing was measured for that"


def test_without_a_benchmark_the_engine_has_its_defaults(store: ModelStore) -> None:
    put(store, "smollm2-135m")
    assert engine_settings(Settings(), choose_model(Settings(), store)) == EngineSettings()


def test_what_is_measured_is_what_is_here_or_named(store: ModelStore) -> None:
    with pytest.raises(EngineChoiceError, match="models pull starter"):
        models_to_measure(None, Settings(), store)
    put(store, "smollm2-135m")
    put(store, "whisper-tiny")
    assert [found.name for found in models_to_measure(None, Settings(), store)] == ["smollm2-135m"]
    with pytest.raises(EngineChoiceError, match="--model = 'whisper-tiny': that model listens"):
        models_to_measure("whisper-tiny", Settings(), store)


# What listens ---------------------------------------------------------------------------------------------------------


def test_whisper_listens_where_a_model_for_the_language_is_here(store: ModelStore) -> None:
    put(store, "whisper-tiny.en")
    choice = choose_transcriber(Settings(), store)
    assert (choice.name, choice.notice) == ("whisper-tiny.en", None)


def test_settling_for_pocketsphinx_is_said_with_the_way_out(store: ModelStore) -> None:
    choice = choose_transcriber(Settings(), store)
    assert choice.name == "pocketsphinx"
    assert choice.notice is not None
    assert "familiar models pull whisper-tiny.en" in choice.notice


def test_asking_for_pocketsphinx_is_not_settling_for_it(store: ModelStore) -> None:
    put(store, "whisper-tiny.en")
    choice = choose_transcriber(listening(engine="sphinx"), store)
    assert (choice.name, choice.notice) == ("pocketsphinx", None)


def test_asking_for_whisper_never_gets_anything_else(store: ModelStore) -> None:
    with pytest.raises(EngineChoiceError, match=r"whisper-tiny\.en"):
        choose_transcriber(listening(engine="whisper"), store)
    with pytest.raises(EngineChoiceError, match=r"listen\.model = 'whisper-base' is not here"):
        choose_transcriber(listening(model="whisper-base"), store)


def test_an_english_ear_is_not_given_to_a_german(store: ModelStore) -> None:
    put(store, "whisper-base.en")
    with pytest.raises(EngineChoiceError, match="only English is understood"):
        choose_transcriber(listening(language="de"), store)
    put(store, "whisper-tiny")
    assert choose_transcriber(listening(language="de"), store).name == "whisper-tiny"


def test_without_any_ear_the_choice_fails(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    without({"pocketsphinx"}, monkeypatch)
    with pytest.raises(EngineChoiceError, match="there is no ear"):
        choose_transcriber(Settings(), store)


def test_the_ear_that_was_chosen_listens(store: ModelStore) -> None:
    model = ASSETS / "asr" / "whisper-tiny-shaped-random-int8"
    if not model.is_dir():
        pytest.skip(f"the Whisper of random weights is not here: {WITHOUT_ASSETS}")
    ear = choose_transcriber(listening(model=str(model), language="en-GB"), store).make()
    ear.begin()
    ear.feed(np.zeros(8_000, np.int16))
    assert ear.result().audio_s == pytest.approx(0.5)


# What speaks ----------------------------------------------------------------------------------------------------------


def test_piper_speaks_where_a_voice_for_the_language_is_here(store: ModelStore) -> None:
    put(store, "de_DE-thorsten-medium")
    put(store, "en_GB-alba-medium")
    assert choose_synthesizer(Settings(), store).name == "en_GB-alba-medium"
    german = choose_synthesizer(listening(language="de"), store)
    assert (german.name, german.notice) == ("de_DE-thorsten-medium", None)


def test_settling_for_espeak_is_said_with_the_way_out(store: ModelStore) -> None:
    choice = choose_synthesizer(Settings(), store)
    assert choice.name == "espeak-ng en"
    assert choice.notice is not None
    assert "familiar models pull en_US-lessac-low" in choice.notice


def test_a_language_without_a_piper_voice_is_not_sent_after_one(store: ModelStore) -> None:
    notice = choose_synthesizer(listening(language="fi"), store).notice
    assert notice is not None
    assert "pull" not in notice


def test_asking_for_espeak_is_not_settling_for_it(store: ModelStore) -> None:
    put(store, "en_GB-alba-medium")
    for asked in (speaking(engine="espeak"), speaking(voice="en-us+f3")):
        assert choose_synthesizer(asked, store).notice is None
    assert choose_synthesizer(speaking(voice="en-us+f3"), store).name == "espeak-ng en-us+f3"


def test_asking_for_piper_never_gets_anything_else(store: ModelStore) -> None:
    with pytest.raises(EngineChoiceError, match="en_US-lessac-low"):
        choose_synthesizer(speaking(engine="piper"), store)
    with pytest.raises(EngineChoiceError, match="did you mean en_GB-alba-medium"):
        choose_synthesizer(speaking(voice="en_GB-albe-medium"), store)


def test_a_voice_without_piper_is_said(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "en_GB-alba-medium")
    without({"piper"}, monkeypatch)
    choice = choose_synthesizer(Settings(), store)
    assert choice.name == "espeak-ng en"
    assert choice.notice is not None
    assert "en_GB-alba-medium is here, but not what plays it" in choice.notice
    with pytest.raises(EngineChoiceError, match="needs the package piper-tts"):
        choose_synthesizer(speaking(engine="piper"), store)


def test_the_voice_that_was_chosen_speaks(store: ModelStore) -> None:
    pytest.importorskip("espeakng_loader")
    voice = choose_synthesizer(Settings(), store).make()
    assert voice.name == "espeak-ng en"
    assert sum(chunk.samples.size for chunk in voice.synthesize("Hello.")) > 0
