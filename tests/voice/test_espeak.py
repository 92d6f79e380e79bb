import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from voice.errors import VoiceModelError
from voice.messages import NEUTRAL, Pcm, Prosody, SpeechChunk

pytest.importorskip("espeakng_loader", reason="the extra 'starter' is not installed")

from voice.espeak import EspeakSynthesizer, word_marks

REPOSITORY = Path(__file__).parents[2]


def said_by(synthesizer: EspeakSynthesizer, speech: str) -> SpeechChunk:
    (chunk,) = synthesizer.synthesize(speech)
    return chunk


def test_speech_is_sound_of_a_sensible_length() -> None:
    synthesizer = EspeakSynthesizer()
    chunk = said_by(synthesizer, "Hello there, my friend, how are you today?")
    assert synthesizer.sample_rate_hz == 22_050
    assert chunk.samples.dtype == np.int16
    assert 1.5 < chunk.samples.size / synthesizer.sample_rate_hz < 5
    assert np.abs(chunk.samples.astype(int)).max() > 3000


@pytest.mark.parametrize(
    ("voice", "speech"),
    [
        ("en", "Hello there, my friend; how are you doing today?"),
        ("en-us", "A costly (or cheap) thing: that is fine!"),
        ("de", "Das ist ein schöner Tag, nicht wahr?"),
        ("hi", "नमस्ते दुनिया कैसे हैं"),
        ("ar", "مرحبا يا صديقي، كيف حالك؟"),
        ("ko", "안녕하세요 세계 여러분"),
    ],
)
def test_each_word_has_a_mark_behind_it(voice: str, speech: str) -> None:
    chunk = said_by(EspeakSynthesizer(voice), speech)
    chars = [mark.chars for mark in chunk.marks]
    samples = [mark.sample for mark in chunk.marks]
    borders = {at for at, char in enumerate(speech) if char == " "} | {len(speech)}
    assert chars == sorted(set(chars))
    assert samples == sorted(set(samples))
    assert set(chars) <= borders
    assert len(borders) - 1 <= len(chars), "espeak-ng says some pairs of small words as one"
    assert chars[-1] == len(speech)
    assert samples[-1] <= chunk.samples.size


def test_a_word_is_said_before_the_pause_behind_it() -> None:
    chunk = said_by(EspeakSynthesizer(), "Hello, there")
    hello, _ = chunk.marks
    pause = chunk.samples[hello.sample : hello.sample + 2000].astype(int)
    assert np.abs(pause).max() <= 64


def test_marks_come_from_word_starts_and_skip_what_the_library_repeats() -> None:
    samples: Pcm = np.full(100, 1000, np.int16)
    samples[40:50] = 0
    marks = word_marks("aa bb cc", samples, [(0, 0), (3, 50), (4, 50), (4, 60), (3, 70), (6, 80)])
    assert [(mark.chars, mark.sample) for mark in marks] == [(2, 40), (4, 60), (5, 80), (8, 100)]


@pytest.mark.parametrize("speech", ["", " ", "...", "\0", "\ud800", "*"])
def test_odd_text_does_no_harm(speech: str) -> None:
    list(EspeakSynthesizer().synthesize(speech))


def test_text_behind_a_nul_is_spoken() -> None:
    synthesizer = EspeakSynthesizer()
    assert said_by(synthesizer, "one\0two three four").samples.size > 2 * said_by(synthesizer, "one").samples.size


def test_two_synthesizers_keep_their_own_manner() -> None:
    slow = EspeakSynthesizer("en", rate_wpm=100)
    fast = EspeakSynthesizer("de+f3", rate_wpm=300, pitch=80)
    before = said_by(slow, "Good morning to you").samples.size
    assert said_by(fast, "Good morning to you").samples.size < before * 0.6
    assert said_by(slow, "Good morning to you").samples.size == pytest.approx(before, rel=0.02)


def pitch_hz(chunk: SpeechChunk, rate_hz: int) -> float:
    """The median fundamental frequency of what is voiced, by autocorrelation of 40 ms."""
    size, found = rate_hz // 25, []
    for start in range(0, chunk.samples.size - size, size // 2):
        frame = chunk.samples[start : start + size].astype(float)
        power = np.correlate(frame, frame, "full")[size - 1 :]
        lag = rate_hz // 350 + int(np.argmax(power[rate_hz // 350 : rate_hz // 50]))
        if np.abs(frame).max() > 2000 and power[lag] > 0.5 * power[0]:
            found.append(rate_hz / lag)
    return float(np.median(found))


def loudness(chunk: SpeechChunk) -> float:
    return float(np.sqrt((chunk.samples.astype(float) ** 2).mean()))


def test_prosody_changes_rate_pitch_volume_and_melody() -> None:
    synthesizer, speech = EspeakSynthesizer(), "I am so glad that you are here, and we will go to the garden together."
    plain = said_by(synthesizer, speech)

    def said(prosody: Prosody) -> SpeechChunk:
        (chunk,) = synthesizer.synthesize(speech, prosody)
        return chunk

    def pitch_of(prosody: Prosody) -> float:
        return pitch_hz(said(prosody), synthesizer.sample_rate_hz) / pitch_hz(plain, synthesizer.sample_rate_hz)

    assert said(Prosody(rate=1.25)).samples.size / plain.samples.size == pytest.approx(0.8, abs=0.03)
    assert said(Prosody(rate=0.8)).samples.size / plain.samples.size == pytest.approx(1.25, abs=0.05)
    assert pitch_of(Prosody(pitch=1.15)) == pytest.approx(1.15, abs=0.05)
    assert pitch_of(Prosody(pitch=0.87)) == pytest.approx(0.87, abs=0.05)
    assert loudness(said(Prosody(volume=0.7))) / loudness(plain) == pytest.approx(0.7, abs=0.03)
    assert not np.array_equal(said(Prosody(variation=1.5)).samples[:20_000], plain.samples[:20_000])
    assert said(NEUTRAL).samples.size == pytest.approx(plain.samples.size, rel=0.02), "no manner outlasts its clause"


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_furthest_prosody_is_still_speech(factor: float) -> None:
    synthesizer = EspeakSynthesizer(rate_wpm=400, pitch=90)
    prosody = Prosody(rate=factor, pitch=factor, volume=factor, variation=factor)
    (chunk,) = synthesizer.synthesize("Good morning to you", prosody)
    assert chunk.marks


def test_two_threads_do_not_mix_their_speech() -> None:
    texts = ["One two three four five.", "Completely different words that go on for rather longer."]
    synthesizers = [EspeakSynthesizer("en"), EspeakSynthesizer("en", rate_wpm=220)]
    expected = [said_by(synthesizer, text).samples.size for synthesizer, text in zip(synthesizers, texts, strict=True)]
    sizes: list[list[int]] = [[], []]

    def speak(which: int) -> None:
        sizes[which] = [said_by(synthesizers[which], texts[which]).samples.size for _ in range(10)]

    threads = [threading.Thread(target=speak, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    for which in range(2):
        assert sizes[which] == [pytest.approx(expected[which], rel=0.02)] * 10


@pytest.mark.parametrize("voice", ["xx", "", "../../etc/passwd", "en+nosuch", "x" * 500, "en\0de", "en+" + "x" * 500])
def test_unknown_voice_is_refused_and_says_where_to_look(voice: str) -> None:
    with pytest.raises(VoiceModelError, match=r"espeak-ng has no .*all are the file names") as caught:
        EspeakSynthesizer(voice)
    assert "\n" not in str(caught.value)


def test_manner_out_of_range_is_refused() -> None:
    with pytest.raises(VoiceModelError, match="80 to 450"):
        EspeakSynthesizer(rate_wpm=1000)
    with pytest.raises(VoiceModelError, match="pitch"):
        EspeakSynthesizer(pitch=100)


def test_a_clause_takes_little_time() -> None:
    synthesizer = EspeakSynthesizer()
    took_s = []
    for _ in range(5):
        started = time.perf_counter()
        said_by(synthesizer, "Hello there, my friend, how are you doing today, dear?")
        took_s.append(time.perf_counter() - started)
    assert min(took_s) < 0.05, "3 ms on an idle core: reason enough to yield a clause whole"


def fake_loader(data: Path, library: str) -> str:
    return f"def get_library_path(): return {library!r}\ndef get_data_path(): return {str(data)!r}\n"


def speak_in_fresh_process(folder: Path, loader: str) -> subprocess.CompletedProcess[str]:
    """Speak in a process of its own, with `loader` as the source of `espeakng_loader`."""
    (folder / "espeakng_loader.py").write_text(loader, encoding="utf-8")
    program = (
        f"import sys; sys.path[:0] = [{str(folder)!r}, {str(REPOSITORY)!r}]\n"
        "from voice.espeak import EspeakSynthesizer\n"
        "from voice.errors import VoiceModelError\n"
        "try: print(len(next(EspeakSynthesizer('de').synthesize('Guten Tag')).samples))\n"
        "except VoiceModelError as error: print('refused:', error)\n"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


def test_data_in_a_path_too_long_for_the_library_is_found(tmp_path: Path) -> None:
    import espeakng_loader

    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    data = deep / "espeak-ng-data"
    data.symlink_to(espeakng_loader.get_data_path())
    done = speak_in_fresh_process(tmp_path, fake_loader(data, espeakng_loader.get_library_path()))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5000


def test_what_is_missing_is_named_without_ending_the_process(tmp_path: Path) -> None:
    import espeakng_loader

    data, library = Path(espeakng_loader.get_data_path()), espeakng_loader.get_library_path()
    for loader, reason in (
        (fake_loader(tmp_path / "nowhere", library), "no espeak-ng data"),
        (fake_loader(data, "/nowhere/libespeak-ng.so"), "espeak-ng does not load"),
        ("raise ImportError('no such wheel')", "pip install 'familiar-companion[starter]'"),
    ):
        done = speak_in_fresh_process(tmp_path, loader)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("refused: ")
        assert reason in done.stdout
