"""Speech recognition with Whisper on CTranslate2: the ear of choice.

Audio comes from `voice.listener` through the Transcriber seam, models from `models.store` or any folder that holds a
converted one. Nothing is ever downloaded from here. Whisper hears an utterance as a whole, so there are no running
texts, and it costs about the same for one second as for thirty.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voice.errors import VoiceModelError
from voice.messages import MIC_RATE_HZ, Pcm, Transcript

TEMPERATURES = (0.0, 0.4)
"""The second one is tried when the first gives a loop or a wild guess: OpenAI's ladder has six, each a decode more."""

NO_SPEECH_PROBABILITY = 0.6
LOW_LOG_PROBABILITY = -1.0
"""OpenAI's published thresholds: a segment that is probably no speech and whose words are guesses (mean log-probability
of a token) is no speech. Whisper makes up words for noise."""

SPARE_TOKENS, TOKENS_PER_S, MOST_TOKENS = 32, 40, 440
"""Most tokens of a text, by its length in audio: quick English has 6 a second, Thai 15, and CTranslate2 stops at half
of what it is given. A loop in a moment of noise would otherwise run to 224 tokens, seconds on a small board. 440 and
the four that begin every text fit into the model's 448."""

MOST_THREADS = 2
"""Of CTranslate2 unless told otherwise, and no more than half of the processors: its own choice, up to four, takes them
from the language model and from whatever moves the sound."""

_FAILURES = (RuntimeError, ValueError, KeyError, TypeError)
"""What CTranslate2 and faster-whisper raise for a model that does not work."""

REQUIRED_FILES = ("model.bin", "config.json", "tokenizer.json")
VOCABULARY_FILES = ("vocabulary.json", "vocabulary.txt")


class WhisperTranscriber:
    """One Whisper model, greedy, without timestamps.

    Of tiny size (int8, one thread of a slow x86 core) it takes 0.7 s to open, 130 MB, and 0.7 s for a short utterance,
    nearly all of it for the encoder's window of 30 s.
    """

    name = "whisper"

    def __init__(
        self,
        model: str | Path,
        *,
        language: str | None = "en",
        threads: int = 0,
        compute_type: str = "int8",
        device: str = "cpu",
    ) -> None:
        """Load the model in the folder `model` and decode a moment of silence, because files that do not fit together
        show only then.

        `language` is an ISO 639-1 code, None to detect it in each utterance (one more run of the encoder). `threads` is
        the number of CPU threads, 0 for half of the processors but at most MOST_THREADS. Raises VoiceModelError if the
        model is missing, damaged or cannot do `language`.
        """
        folder = Path(model).expanduser()
        _check_files(folder)
        from faster_whisper import WhisperModel

        n_threads = threads or max(1, min(MOST_THREADS, (os.cpu_count() or 1) // 2))
        try:
            self._model = WhisperModel(
                str(folder), device=device, compute_type=compute_type, cpu_threads=n_threads, local_files_only=True
            )
        except (RuntimeError, ValueError) as error:
            raise VoiceModelError(f"{folder}: CTranslate2 cannot load this Whisper model: {error}; {_MEND}") from error
        if language is not None and language not in self._model.supported_languages:
            raise VoiceModelError(_wrong_language(folder, language, self._model.supported_languages))
        self._language = language
        self._folder = folder
        self._audio: list[Pcm] = []
        self._transcript: Transcript | None = None
        try:
            self._decode(np.zeros(MIC_RATE_HZ // 10, np.float32))
        except _FAILURES as error:
            raise VoiceModelError(f"{folder}: the files of this Whisper model do not fit: {error}; {_MEND}") from error

    def begin(self) -> None:
        """See `Transcriber`."""
        self._audio.clear()
        self._transcript = None

    def feed(self, samples: Pcm) -> None:
        """See `Transcriber`. Copies nothing and computes nothing."""
        self._audio.append(samples)
        self._transcript = None

    def partial(self) -> str:
        """Always empty: a running text would cost a whole decode."""
        return ""

    def result(self) -> Transcript:
        """See `Transcriber`. Asked again without new audio, it gives the same transcript at once. Raises
        VoiceModelError if the model fails."""
        if self._transcript is None:
            samples = np.concatenate([np.zeros(0, np.int16), *self._audio])
            try:
                text = self._decode(samples.astype(np.float32) / np.float32(32768)) if samples.size else ""
            except _FAILURES as error:
                raise VoiceModelError(f"{self._folder}: this Whisper model failed: {error}; {_MEND}") from error
            self._transcript = Transcript(text=text, audio_s=samples.size / MIC_RATE_HZ)
        return self._transcript

    def _decode(self, audio: NDArray[np.float32]) -> str:
        """The words in `audio`, shape (n,), full scale ±1."""
        n_tokens = min(SPARE_TOKENS + TOKENS_PER_S * audio.size // MIC_RATE_HZ, MOST_TOKENS)
        segments, _ = self._model.transcribe(
            audio,
            language=self._language,
            beam_size=1,
            best_of=1,
            temperature=TEMPERATURES,
            log_prob_threshold=LOW_LOG_PROBABILITY,
            no_speech_threshold=NO_SPEECH_PROBABILITY,
            condition_on_previous_text=False,
            without_timestamps=True,
            max_new_tokens=n_tokens,
            vad_filter=False,
        )
        return " ".join(text for segment in segments if (text := segment.text.strip()))


_MEND = "`familiar models pull whisper-tiny.en` fetches one"


def _check_files(folder: Path) -> None:
    """Raises VoiceModelError for what the libraries answer badly: they would download a missing tokenizer, and raise a
    bare Exception for a damaged one."""
    if not folder.is_dir():
        raise VoiceModelError(f"{folder}: there is no such Whisper model; {_MEND}")
    missing = [name for name in REQUIRED_FILES if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in VOCABULARY_FILES):
        missing.append(" or ".join(VOCABULARY_FILES))
    if missing:
        raise VoiceModelError(f"{folder} is no complete Whisper model, {', '.join(missing)} missing; {_MEND}")
    for name in ("config.json", "tokenizer.json"):
        try:
            content = json.loads((folder / name).read_bytes())
        except (OSError, ValueError) as error:
            raise VoiceModelError(f"{folder / name} is damaged: {error}; {_MEND}") from error
        if not isinstance(content, dict) or (name == "tokenizer.json" and not _has_vocabulary(content)):
            raise VoiceModelError(f"{folder / name} is damaged: it does not say what it should; {_MEND}")


def _has_vocabulary(tokenizer: dict[str, Any]) -> bool:
    model = tokenizer.get("model")
    return isinstance(model, dict) and bool(model.get("vocab"))


def _wrong_language(folder: Path, language: str, supported: list[str]) -> str:
    if supported == ["en"]:
        return f"{folder} knows English only, not {language!r}: `familiar models pull whisper-tiny` knows 99 languages"
    return f"{folder} does not know the language {language!r}: give a code such as 'de', or none to detect it"
