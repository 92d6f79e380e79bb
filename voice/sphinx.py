"""Speech recognition with PocketSphinx and the US English model in its package: the ear of last resort.

Audio comes from `voice.listener` through the Transcriber seam. It decodes while the person speaks, in 0.10-0.18
of real time on one slow x86 core, so that the words stand ready 0.05-0.3 s after the last of them. It mishears every
third word of read sentences, but needs no model from anywhere, which is what it is for.
"""

import math
import re
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from voice.errors import VoiceModelError
from voice.messages import MIC_RATE_HZ, Pcm, Transcript

_SAMPLE_BYTES = 2

CEPSTRAL_MEAN = "50,1.4,-1.5,11,-7.6,0.9,-8.6,-7.3,-0.8,-3.3,1.8,-2.8,1.1"
"""What the acoustics are normalised by until this microphone is known: the mean of ten read sentences of five people.

PocketSphinx ships "40,3,-1". Word error rates with that and with this, each utterance being the first one: those ten
sentences (121 words) 0.36 and 0.30, four others (134) 0.39 and 0.31, digits and commands (25) 0.80 and 0.72, the
default voice of espeak-ng (111) 0.72 and 0.56; other noise under the same clips moves each by 0.05. From the second
utterance on, the mean of those before it counts: the ten sentences 26 dB softer have 0.33 then, 0.61 without.
"""

CATCH_UP = 8
"""After a pause the utterance is decoded again from its start, this many times as fast as audio comes in: fast enough
to be there soon, slow enough that no single call blocks for long."""

LONGEST_WORD_S = 1.0
"""Mean length of the words above which they are noise: steady noise is heard as one "ah" of 1.2-1.5 s; the slowest
speech measured, a dictated "five five", has 0.8 s a word."""

LEAST_POSTERIOR = 0.05
"""Posterior probability of the words, geometric mean, below which they are a guess. With both gates, 22 of 24 clips of
noise have no words; of 88 of speech six have none, each of which was misheard. Both limits were chosen on these clips:
other rooms will do less well.
"""

_WORD_COUNT_OFFSET = len("Trie Language Model") + 1
"""Where the language model's file says how many words it has: behind its title and the order of its n-grams."""

_VARIANT = re.compile(r"\(\d+\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """A word of the best path."""

    text: str
    duration_s: float
    posterior: float


@contextmanager
def _decoding() -> Iterator[None]:
    """What PocketSphinx raises where it fails, as the error of this package."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        raise VoiceModelError(f"pocketsphinx failed: {error}; start again") from error


class SphinxTranscriber:
    """PocketSphinx with a trigram language model of general English. Opening it takes 0.4 s and 80 MB.

    Every method raises VoiceModelError if the decoder fails.
    """

    name = "pocketsphinx"

    def __init__(self) -> None:
        """Raises VoiceModelError if the package is not installed or its model does not load."""
        try:
            from pocketsphinx import Decoder, get_model_path
        except ImportError as error:
            raise VoiceModelError("pocketsphinx is not installed: pip install 'familiar-companion[starter]'") from error
        try:
            with tempfile.NamedTemporaryFile(suffix=".dict") as dictionary:
                dictionary.writelines(_known_pronunciations(Path(get_model_path("en-us"))))
                dictionary.flush()
                self._decoder = Decoder(loglevel="FATAL", samprate=MIC_RATE_HZ, dict=dictionary.name)
        except (OSError, RuntimeError, ValueError) as error:
            raise VoiceModelError(
                "pocketsphinx does not load its model: pip install --force-reinstall pocketsphinx"
            ) from error
        self._frames_per_s = int(self._decoder.config["frate"])
        self._mean = CEPSTRAL_MEAN
        self._audio = bytearray()
        self._n_decoded = 0
        self._in_utterance = False
        self._transcript: Transcript | None = None
        self._mean_after = CEPSTRAL_MEAN

    @_decoding()
    def begin(self) -> None:
        """See `Transcriber`. What the last utterance taught about voice and microphone is kept if it had words."""
        if self._in_utterance:
            self._decoder.end_utt()
            self._in_utterance = False
        if self._transcript is not None and self._transcript.text:
            self._mean = self._mean_after
        self._audio.clear()
        self._n_decoded = 0
        self._transcript = None

    @_decoding()
    def feed(self, samples: Pcm) -> None:
        """See `Transcriber`. Decodes the audio at once.

        After a `result`, everything before it has to be decoded again, in a fifth of its length or less; that is spread
        over the feeds that follow, and what is missing at the next `result` is done there.
        """
        self._audio += samples.tobytes()
        self._transcript = None
        self._decode(CATCH_UP * samples.nbytes)

    @_decoding()
    def partial(self) -> str:
        """See `Transcriber`. Empty while decoding again after a pause."""
        if not self._in_utterance or self._n_decoded < len(self._audio):
            return ""
        hypothesis = self._decoder.hyp()
        return _tidy(hypothesis.hypstr) if hypothesis else ""

    @_decoding()
    def result(self) -> Transcript:
        """See `Transcriber`. Two more passes over what was found take 0.04 s for a second of audio. Asked again without
        new audio, it gives the same transcript at once."""
        if self._transcript is None:
            words: tuple[_Word, ...] = ()
            if self._audio:
                self._decode(len(self._audio))
                self._decoder.end_utt()
                self._in_utterance = False
                words = self._best_path()
                self._mean_after = self._decoder.get_cmn()
            text = "" if _is_noise(words) else " ".join(word.text for word in words)
            self._transcript = Transcript(text=text, audio_s=len(self._audio) / _SAMPLE_BYTES / MIC_RATE_HZ)
        return self._transcript

    def _decode(self, n_bytes: int) -> None:
        """Decode at most `n_bytes` more of the audio."""
        if not self._in_utterance:
            # The same start as the first time: an utterance decoded twice must not count twice for the mean.
            self._decoder.set_cmn(self._mean)
            self._decoder.start_utt()
            self._in_utterance = True
            self._n_decoded = 0
        piece = bytes(self._audio[self._n_decoded : self._n_decoded + n_bytes])
        if piece:
            self._decoder.process_raw(piece)
            self._n_decoded += len(piece)

    def _best_path(self) -> tuple[_Word, ...]:
        words = []
        for segment in self._decoder.seg() or ():
            if text := _tidy(segment.word):
                duration_s = (segment.end_frame - segment.start_frame + 1) / self._frames_per_s
                words.append(_Word(text=text, duration_s=duration_s, posterior=segment.prob))
        return tuple(words)


def _tidy(text: str) -> str:
    """Words as people write them: no fillers (<s>, <sil>, [NOISE], ++UH++), no pronunciation variants ("the(2)"), no
    dot after a letter that is a word ("x.")."""
    words = (_VARIANT.sub("", word).rstrip(".") for word in text.lower().split() if word[0] not in "<[+")
    return " ".join(words)


def _is_noise(words: tuple[_Word, ...]) -> bool:
    if not words:
        return False
    if sum(word.duration_s for word in words) / len(words) > LONGEST_WORD_S:
        return True
    log_posterior = sum(math.log(max(word.posterior, 1e-30)) for word in words) / len(words)
    return log_posterior < math.log(LEAST_POSTERIOR)


def _known_pronunciations(model: Path) -> Iterator[bytes]:
    """The lines of the package's dictionary whose word stands in its language model: the others can never be heard and
    cost 14 MB. The model's file ends with its words, each closed by a zero byte."""
    language_model = (model / "en-us.lm.bin").read_bytes()
    (n_words,) = struct.unpack_from("<I", language_model, _WORD_COUNT_OFFSET)
    words = set(language_model.rsplit(b"\0", n_words + 1)[1:])
    with (model / "cmudict-en-us.dict").open("rb") as dictionary:
        for line in dictionary:
            word = line.partition(b" ")[0]
            if word.partition(b"(")[0] in words:
                yield line
