import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from voice.errors import VoiceModelError

pytest.importorskip("piper", reason="the extra 'starter' is not installed")
pytest.importorskip("onnx", reason="the extra 'dev' is not installed")

import onnx

from tests.voice.tone_voice import HOP_SAMPLES, RATE_HZ, SILENT_FRAMES, SOUNDING_FRAMES, write_tone_voice
from voice.messages import NEUTRAL, Prosody
from voice.piper import PiperSynthesizer
from voice.piper_durations import with_durations

FRAMES_PER_WORD = 3 * (SOUNDING_FRAMES + SILENT_FRAMES)


def test_a_sentence_is_one_chunk_of_the_voices_sound(tmp_path: Path) -> None:
    voice = PiperSynthesizer(write_tone_voice(tmp_path))
    chunks = list(voice.synthesize("Hello there. How are you?"))
    assert (voice.name, voice.sample_rate_hz) == ("piper tone", RATE_HZ)
    assert len(chunks) == 2
    assert all(chunk.samples.dtype == np.int16 and chunk.samples.ndim == 1 for chunk in chunks)
    assert all(np.abs(chunk.samples.astype(int)).max() > 30_000 for chunk in chunks)


def test_marks_stand_where_the_sound_of_a_word_ends(tmp_path: Path) -> None:
    voice = PiperSynthesizer(write_tone_voice(tmp_path))
    speech = "One of the best. It costs 3.14 dollars, I think!"
    chunks = list(voice.synthesize(speech))
    samples = np.concatenate([chunk.samples for chunk in chunks]).astype(int)
    marks = [mark for chunk in chunks for mark in chunk.marks]
    assert voice.knows_word_times
    done = [0, *(mark.chars for mark in marks)]
    words = [speech[begin:end].strip() for begin, end in pairwise(done)]
    assert words == ["One", "of the", "best.", "It", "costs", "3.14", "dollars,", "I", "think!"]
    for mark in marks:
        # Silent: the padding behind the last phoneme, and what stands between words. Sounding: the frame before that.
        assert np.abs(samples[mark.sample - SILENT_FRAMES * HOP_SAMPLES : mark.sample]).max() == 0
        assert np.abs(samples[mark.sample - (SILENT_FRAMES + 1) * HOP_SAMPLES :][:HOP_SAMPLES]).max() > 10_000


def test_length_scale_stretches_sound_and_marks(tmp_path: Path) -> None:
    path = write_tone_voice(tmp_path)
    (normal,) = PiperSynthesizer(path).synthesize("Hello there")
    (slow,) = PiperSynthesizer(path, length_scale=2.0).synthesize("Hello there")
    assert slow.samples.size == 2 * normal.samples.size
    assert [mark.sample for mark in slow.marks] == [2 * mark.sample for mark in normal.marks]


def test_prosody_stretches_softens_and_comes_on_top_of_the_settings(tmp_path: Path) -> None:
    path = write_tone_voice(tmp_path)
    for voice in (PiperSynthesizer(path), PiperSynthesizer(path, length_scale=2.0)):
        (plain,) = voice.synthesize("Hello there")
        (slow,) = voice.synthesize("Hello there", Prosody(rate=0.5, pitch=2.0, volume=0.5))
        (loud,) = voice.synthesize("Hello there", Prosody(volume=2.0))
        (again,) = voice.synthesize("Hello there", NEUTRAL)
        assert slow.samples.size == 2 * plain.samples.size
        assert [mark.sample for mark in slow.marks] == [2 * mark.sample for mark in plain.marks]
        assert np.abs(slow.samples.astype(int)).max() == pytest.approx(16_384, abs=300)
        assert np.array_equal(loud.samples, plain.samples), "full scale is the loudest there is"
        assert np.array_equal(again.samples, plain.samples)


def test_prosody_scales_the_noise_of_sound_and_rhythm(tmp_path: Path) -> None:
    voice = PiperSynthesizer(write_tone_voice(tmp_path), noise_w_scale=0.5)
    network = CountingNetwork(voice)
    list(voice.synthesize("Hello", Prosody(variation=1.5, rate=1.25)))
    assert network.scales == pytest.approx([0.667 * 1.5, 1 / 1.25, 0.5 * 1.5])
    list(voice.synthesize("Hello"))
    assert network.scales == pytest.approx([0.667, 1.0, 0.5])


def test_voice_that_does_not_tell_durations_speaks_without_marks(tmp_path: Path) -> None:
    voice = PiperSynthesizer(write_tone_voice(tmp_path, with_ceil=False))
    (chunk,) = voice.synthesize("Hello there")
    assert not voice.knows_word_times
    assert chunk.samples.size > 0
    assert chunk.marks == ()


def test_text_voice_speaks_characters(tmp_path: Path) -> None:
    voice = PiperSynthesizer(write_tone_voice(tmp_path, settings={"phoneme_type": "text"}))
    (chunk,) = voice.synthesize("abc def")
    frames = {mark.chars: mark.sample // HOP_SAMPLES for mark in chunk.marks}
    assert frames[7] - frames[3] == FRAMES_PER_WORD + 2 * SILENT_FRAMES


def test_speaker_is_chosen_by_name_or_number(tmp_path: Path) -> None:
    path = write_tone_voice(tmp_path, n_speakers=2)
    for speaker in ("speaker1", 1, None):
        assert next(PiperSynthesizer(path, speaker=speaker).synthesize("hi")).samples.size > 0
    for wrong in ("nobody", 2, -1):
        with pytest.raises(VoiceModelError, match=r"has no speaker .*speaker0, speaker1"):
            PiperSynthesizer(path, speaker=wrong)


@pytest.mark.parametrize("speech", ["", " ", "...", "\0", "\ud800 hi", "[[ raw ]] text", "漢字"])
def test_odd_text_does_no_harm(tmp_path: Path, speech: str) -> None:
    list(PiperSynthesizer(write_tone_voice(tmp_path)).synthesize(speech))


class CountingNetwork:
    """A voice's network that counts its runs, one a sentence, and fails instead once told to."""

    def __init__(self, voice: PiperSynthesizer) -> None:
        self._session = voice._voice.session
        voice._voice.session = cast("Any", self)
        self.n_runs = 0
        self.scales: list[float] = []
        self.failure: Exception | None = None

    def run(self, *args: Any) -> Any:
        if self.failure is not None:
            raise self.failure
        self.n_runs += 1
        self.scales = args[1]["scales"].tolist()
        return self._session.run(*args)

    def get_outputs(self) -> Any:
        return self._session.get_outputs()


def test_closing_the_generator_abandons_the_rest(tmp_path: Path) -> None:
    voice = PiperSynthesizer(write_tone_voice(tmp_path))
    network = CountingNetwork(voice)
    chunks = voice.synthesize("One. Two. Three.")
    next(chunks)
    chunks.close()
    assert network.n_runs == 1
    assert len(list(voice.synthesize("One. Two. Three."))) == 3
    assert network.n_runs == 4


def test_a_network_that_fails_while_it_is_used_is_an_error(tmp_path: Path) -> None:
    from onnxruntime.capi import onnxruntime_pybind11_state as ort

    voice = PiperSynthesizer(write_tone_voice(tmp_path))
    network = CountingNetwork(voice)
    chunks = voice.synthesize("One. Two.")
    next(chunks)
    network.failure = ort.RuntimeException("no memory for this tensor")
    with pytest.raises(VoiceModelError, match="piper tone cannot speak: RuntimeException no memory"):
        next(chunks)


def test_piper_and_espeak_speak_in_one_process(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader", reason="the extra 'starter' is not installed")
    from voice.espeak import EspeakSynthesizer

    espeak = EspeakSynthesizer("de")
    piper = PiperSynthesizer(write_tone_voice(tmp_path))
    sizes = [
        (next(espeak.synthesize("Guten Morgen")).samples.size, next(piper.synthesize("Good morning")).samples.size)
        for _ in range(3)
    ]
    assert [size[1] for size in sizes] == [sizes[0][1]] * 3
    assert [size[0] for size in sizes] == [pytest.approx(sizes[0][0], rel=0.02)] * 3


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(VoiceModelError, match=r"no voice at .*none\.onnx"):
        PiperSynthesizer(tmp_path / "none.onnx")
    path = write_tone_voice(tmp_path)
    path.with_name("tone.onnx.json").unlink()
    with pytest.raises(VoiceModelError, match=r"settings file, missing: .*tone\.onnx\.json"):
        PiperSynthesizer(path)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"audio": 1}', "\x00\x01"])
def test_settings_of_another_kind_are_refused(tmp_path: Path, content: str) -> None:
    path = write_tone_voice(tmp_path)
    path.with_name("tone.onnx.json").write_text(content)
    with pytest.raises(VoiceModelError, match="no Piper settings file") as caught:
        PiperSynthesizer(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"phoneme_type": "pinyin"}, "pinyin phonemes"),
        ({"phoneme_type": "klingon"}, "no Piper settings file"),
        ({"espeak": {"voice": "xx-nosuch"}}, "cannot speak"),
        ({"phoneme_id_map": {"a": [1]}}, "cannot speak"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_loading(
    tmp_path: Path, settings: dict[str, object], reason: str
) -> None:
    with pytest.raises(VoiceModelError, match=reason):
        PiperSynthesizer(write_tone_voice(tmp_path, settings=settings))


def test_damaged_network_is_refused(tmp_path: Path) -> None:
    path = write_tone_voice(tmp_path)
    whole = path.read_bytes()
    for content in (b"", b"not a network at all", whole[: len(whole) // 2], whole[:-3], b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(VoiceModelError, match=r"damaged or no ONNX model|no Piper voice") as caught:
            PiperSynthesizer(path)
        assert "\n" not in str(caught.value)


def test_network_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = write_tone_voice(tmp_path)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Ceil", ["x"], ["y"])],
        "other",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])],
    )
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 15)]), str(path))
    with pytest.raises(VoiceModelError, match="no Piper voice: it has no input"):
        PiperSynthesizer(path)


def test_missing_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piper", None)
    with pytest.raises(VoiceModelError, match=r"familiar-companion\[starter\]"):
        PiperSynthesizer(tmp_path / "any.onnx")


def test_durations_are_added_just_as_the_onnx_package_would(tmp_path: Path) -> None:
    from piper.patch_voice_with_alignment import add_alignment_output

    path = write_tone_voice(tmp_path)
    expected = onnx.load(str(path))
    add_alignment_output(expected)
    patched = with_durations(path.read_bytes())
    assert onnx.load_from_string(patched) == expected
    assert with_durations(patched) == patched


def test_durations_are_not_added_where_there_is_no_telling_them(tmp_path: Path) -> None:
    model = write_tone_voice(tmp_path, with_ceil=False).read_bytes()
    assert with_durations(model) == model
    assert with_durations(b"") == b""
    with pytest.raises(ValueError, match="protobuf"):
        with_durations(b"\x3a\xff")
