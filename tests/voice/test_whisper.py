import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.voice.micro_whisper import save_micro_whisper
from tests.voice.saying import room
from voice.errors import VoiceModelError
from voice.messages import FRAME_SAMPLES, MIC_RATE_HZ
from voice.turns import TurnSettings
from voice.whisper import WhisperTranscriber

WORDS = "my dragon is called max"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_micro_whisper(tmp_path_factory.mktemp("whisper") / "sure", WORDS)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A model of its own, for breaking."""
    return save_micro_whisper(tmp_path / "whisper", WORDS)


class CountingTranscriber(WhisperTranscriber):
    """Counts its decodes after the one of opening."""

    n_decodes = -1

    def _decode(self, audio: NDArray[np.float32]) -> str:
        self.n_decodes += 1
        return super()._decode(audio)


def test_words_and_length_of_an_utterance(model: Path) -> None:
    transcriber = WhisperTranscriber(model, threads=1)
    transcriber.begin()
    transcriber.feed(room(1.0))
    transcriber.feed(room(0.5))
    transcript = transcriber.result()
    assert transcript.text == WORDS
    assert transcript.audio_s == 1.5
    assert transcriber.partial() == ""


def test_the_same_audio_is_decoded_once(model: Path) -> None:
    transcriber = CountingTranscriber(model, threads=1)
    transcriber.begin()
    transcriber.feed(room(0.5))
    first = transcriber.result()
    assert transcriber.result() is first
    assert transcriber.n_decodes == 1
    transcriber.feed(room(0.5))
    assert transcriber.result().audio_s == 1.0
    assert transcriber.n_decodes == 2


def test_a_new_utterance_forgets_the_last_one(model: Path) -> None:
    transcriber = CountingTranscriber(model, threads=1)
    transcriber.begin()
    transcriber.feed(room(0.5))
    transcriber.result()
    transcriber.begin()
    transcript = transcriber.result()
    assert (transcript.text, transcript.audio_s) == ("", 0.0)
    assert transcriber.n_decodes == 1


def test_guesses_at_what_is_no_speech_are_dropped(tmp_path: Path) -> None:
    guessing = save_micro_whisper(tmp_path / "guess", WORDS, sure=False, no_speech=True)
    transcriber = WhisperTranscriber(guessing, threads=1)
    transcriber.begin()
    transcriber.feed(room(1.0))
    assert transcriber.result().text == ""


def test_sure_words_are_kept_though_they_seem_no_speech(tmp_path: Path) -> None:
    transcriber = WhisperTranscriber(save_micro_whisper(tmp_path / "sure", WORDS, no_speech=True), threads=1)
    transcriber.begin()
    transcriber.feed(room(1.0))
    assert transcriber.result().text == WORDS


def test_a_language_that_is_to_be_detected(model: Path) -> None:
    transcriber = WhisperTranscriber(model, threads=1, language=None)
    transcriber.begin()
    transcriber.feed(room(1.0))
    assert transcriber.result().text == WORDS


def test_the_longest_turn_has_room_for_all_its_words_in_one_window(tmp_path: Path) -> None:
    words = " ".join(f"w{n}" for n in range(200))
    settings = TurnSettings()
    longest_s = settings.max_turn_s + settings.preroll_ms / 1000 + FRAME_SAMPLES / MIC_RATE_HZ
    assert longest_s < 30
    transcriber = WhisperTranscriber(save_micro_whisper(tmp_path / "long", words), threads=1)
    transcriber.begin()
    transcriber.feed(room(longest_s))
    assert transcriber.result().text == words


def test_a_model_that_fails_while_it_is_used_is_an_error_with_a_remedy(model: Path) -> None:
    class Failing(WhisperTranscriber):
        fails = False

        def _decode(self, audio: NDArray[np.float32]) -> str:
            if self.fails:
                raise RuntimeError("out of memory")
            return super()._decode(audio)

    transcriber = Failing(model, threads=1)
    transcriber.begin()
    transcriber.feed(room(0.5))
    transcriber.fails = True
    with pytest.raises(VoiceModelError, match="failed: out of memory; `familiar models pull"):
        transcriber.result()


def test_a_language_the_model_lacks_is_refused_when_opened(model: Path) -> None:
    with pytest.raises(VoiceModelError, match="knows English only, not 'de'"):
        WhisperTranscriber(model, language="de")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(VoiceModelError, match=r"no such Whisper model; `familiar models pull whisper-tiny\.en`"):
        WhisperTranscriber(tmp_path / "nothing")


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
def test_a_missing_file_is_named(broken: Path, missing: str) -> None:
    (broken / missing).unlink()
    with pytest.raises(VoiceModelError, match=rf"{missing}.* missing; `familiar models pull whisper-tiny\.en`"):
        WhisperTranscriber(broken)


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def other_json(file: Path) -> None:
    file.write_text(json.dumps({"model": {}}), encoding="utf-8")


def a_list(file: Path) -> None:
    file.write_text(json.dumps(["a", "b"]), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.bin", cut_short),
        ("model.bin", emptied),
        ("config.json", cut_short),
        ("config.json", a_list),
        ("tokenizer.json", cut_short),
        ("tokenizer.json", other_json),
        ("tokenizer.json", a_list),
        ("vocabulary.json", cut_short),
        ("vocabulary.json", a_list),
    ],
)
def test_a_damaged_file_is_an_error_with_a_remedy(broken: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(broken / name)
    with pytest.raises(VoiceModelError, match="familiar models pull"):
        WhisperTranscriber(broken, threads=1)


def test_features_of_another_model_are_noticed_when_opened(broken: Path) -> None:
    (broken / "preprocessor_config.json").write_text(json.dumps({"feature_size": 128}), encoding="utf-8")
    with pytest.raises(VoiceModelError, match="do not fit"):
        WhisperTranscriber(broken, threads=1)
