import sys
import time
from difflib import SequenceMatcher

import numpy as np
import pytest

from tests.assets import ASSETS, WITHOUT_ASSETS
from tests.voice.saying import frames, room, say
from voice.errors import VoiceModelError
from voice.messages import FRAME_SAMPLES, Pcm
from voice.sphinx import SphinxTranscriber
from voice.wav import read_wav

pytest.importorskip("pocketsphinx", reason="pocketsphinx (extra `starter`) is not installed")


@pytest.fixture
def transcriber() -> SphinxTranscriber:
    """A new one for each test, because it learns from what it hears."""
    return SphinxTranscriber()


def in_a_room(words: Pcm) -> Pcm:
    return np.concatenate((room(0.3), words, room(0.25, seed=2)))


def heard(transcriber: SphinxTranscriber, samples: Pcm) -> str:
    transcriber.begin()
    for frame in frames(samples):
        transcriber.feed(frame)
    return transcriber.result().text


SENTENCE = "I like to play football with my brother."
# Chosen because they are understood: this tests that the ear works, not how well.
CLEAR = (
    SENTENCE,
    "What is your favorite color?",
    "I am a little bit sad.",
    "Yes, I would like that.",
    "Where do you live?",
)
SPEECH = ASSETS / "speech"
READ = {
    "harvard_spk1_snt2.wav": "drop the two when you add the figures",
    "harvard_spk2_snt1.wav": "we are sure that one war is enough",
    "harvard_spk2_snt3.wav": "tear a thin sheet from the yellow pad",
    "lj_LJ050-0131.wav": "unless a system is established for the frequent formal review of activities thereunder in "
    "this regard",
}


def words_found(said: str, heard_words: str) -> float:
    """The part of the words said that was heard, in order."""
    words = said.lower().translate(str.maketrans("", "", ".,?")).split()
    blocks = SequenceMatcher(a=words, b=heard_words.split()).get_matching_blocks()
    return sum(block.size for block in blocks) / len(words)


def test_clear_sentences_are_understood(transcriber: SphinxTranscriber) -> None:
    found = [words_found(sentence, heard(transcriber, in_a_room(say(sentence)))) for sentence in CLEAR]
    assert sum(found) / len(found) > 0.8


@pytest.mark.skipif(not SPEECH.is_dir(), reason=f"no recordings of people: {WITHOUT_ASSETS}")
def test_most_words_of_people_who_read_are_understood(transcriber: SphinxTranscriber) -> None:
    found = [words_found(text, heard(transcriber, in_a_room(read_wav(SPEECH / name)))) for name, text in READ.items()]
    assert sum(found) / len(found) > 0.6


@pytest.mark.parametrize("level", [0.0, 20.0, 3000.0])
def test_noise_has_no_words(transcriber: SphinxTranscriber, level: float) -> None:
    assert heard(transcriber, room(1.5, level=level)) == ""


def test_words_are_known_while_they_are_said(transcriber: SphinxTranscriber) -> None:
    transcriber.begin()
    partials = []
    for frame in frames(in_a_room(say(SENTENCE))):
        transcriber.feed(frame)
        partials.append(transcriber.partial())
    assert partials[0] == ""
    assert any("football" in text and "brother" not in text for text in partials)
    assert not any(mark in text for text in partials for mark in "<[(")


def test_the_result_stays_until_there_is_more_audio(transcriber: SphinxTranscriber) -> None:
    transcriber.begin()
    transcriber.feed(in_a_room(say(SENTENCE)))
    first = transcriber.result()
    assert transcriber.result() is first
    assert transcriber.partial() == ""
    assert first.audio_s > 1


def test_speech_that_goes_on_after_a_result_is_heard_as_a_whole(transcriber: SphinxTranscriber) -> None:
    sentence = in_a_room(say(SENTENCE))
    middle = len(sentence) // 2
    transcriber.begin()
    transcriber.feed(sentence[:middle])
    assert "brother" not in transcriber.result().text
    for frame in frames(sentence[middle:]):
        transcriber.feed(frame)
    end_of_whole_frames = middle + (len(sentence) - middle) // FRAME_SAMPLES * FRAME_SAMPLES
    assert transcriber.result().text == heard(SphinxTranscriber(), sentence[:end_of_whole_frames])


def test_going_on_after_a_result_is_spread_over_the_feeds(transcriber: SphinxTranscriber) -> None:
    long = np.tile(in_a_room(say(SENTENCE)), 4)
    transcriber.begin()
    started_s = time.thread_time()
    transcriber.feed(long)
    transcriber.result()
    whole_s = time.thread_time() - started_s
    started_s = time.thread_time()
    transcriber.feed(long[:512])
    assert time.thread_time() - started_s < whole_s / 5


def test_an_utterance_that_was_left_unfinished_is_forgotten(transcriber: SphinxTranscriber) -> None:
    sentence = in_a_room(say(SENTENCE))
    transcriber.begin()
    transcriber.feed(in_a_room(say("good night")))
    assert heard(transcriber, sentence) == heard(SphinxTranscriber(), sentence)


def test_noise_does_not_spoil_the_ear(transcriber: SphinxTranscriber) -> None:
    sentence = in_a_room(say(SENTENCE))
    for _ in range(3):
        assert heard(transcriber, room(1.5, level=3000.0)) == ""
    assert heard(transcriber, sentence) == heard(SphinxTranscriber(), sentence)


@pytest.mark.parametrize("n_samples", [0, 1, 100, 512])
def test_next_to_nothing_has_no_words(transcriber: SphinxTranscriber, n_samples: int) -> None:
    transcriber.begin()
    transcriber.feed(np.zeros(n_samples, np.int16))
    assert transcriber.result().text == ""


def test_the_library_is_silent(transcriber: SphinxTranscriber, capfd: pytest.CaptureFixture[str]) -> None:
    heard(transcriber, in_a_room(say("hello there")))
    heard(transcriber, np.zeros(0, np.int16))
    assert capfd.readouterr() == ("", "")


def test_a_decoder_that_fails_while_it_is_used_is_an_error(
    transcriber: SphinxTranscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def set_cmn(self, mean: str) -> None:
            raise RuntimeError("Failed to start utterance processing")

    transcriber.begin()
    monkeypatch.setattr(transcriber, "_decoder", Failing())
    with pytest.raises(VoiceModelError, match="pocketsphinx failed: Failed to start"):
        transcriber.feed(room(0.1))


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(VoiceModelError, match=r"familiar-companion\[starter\]"):
        SphinxTranscriber()
