"""Piper voices: natural speech from a VITS network through onnxruntime, with the time of each word where it is known.

Text comes from `voice.clauses`, sound goes to the player through the `Synthesizer` seam. piper-tts is
GPL-3.0-or-later; it is loaded by this module only, and only when a voice is loaded. Voices are fetched by the model
store, never here: those whose text-to-phoneme step would download something are refused.
"""

import json
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voice.errors import VoiceModelError
from voice.espeak_data import espeak_data_path
from voice.messages import NEUTRAL, Prosody, SpeechChunk, WordMark
from voice.piper_durations import with_durations
from voice.word_timing import chars_said, spoken_words, word_end_samples

if TYPE_CHECKING:
    from piper import AudioChunk, PiperConfig, PiperVoice, SynthesisConfig

_INPUTS = {"input", "input_lengths", "scales"}
"""What every Piper network takes; one with several speakers takes "sid" as well."""

_OFFLINE_PHONEMES = ("espeak", "text")
"""The kinds of voices that need nothing but what piper-tts brings along."""


class PiperSynthesizer:
    """One Piper voice. Yields a chunk per sentence, as soon as it is made."""

    def __init__(
        self,
        model_path: Path,
        *,
        config_path: Path | None = None,
        speaker: str | int | None = None,
        length_scale: float | None = None,
        noise_scale: float | None = None,
        noise_w_scale: float | None = None,
        n_threads: int = 1,
    ) -> None:
        """Load a voice and speak one word with it, so that the first reply does not pay for the first run.

        `config_path` is `model_path` with ".json" appended unless given; `speaker` is a name or number of a voice with
        several. Scales left out are the voice's own: length (above 1 is slower), noise and noise of durations. One
        thread leaves the processors to the language model, which writes the next clause meanwhile.
        Raises VoiceModelError if a file is missing, damaged or of another kind, or piper-tts is not installed.
        """
        model_path = Path(model_path)
        try:
            from piper import SynthesisConfig
        except ImportError as error:
            raise VoiceModelError("piper-tts is not installed: pip install 'familiar-companion[starter]'") from error
        config = _read_config(model_path, config_path)
        self._voice = _load(model_path, config, n_threads)
        self._config = SynthesisConfig(
            speaker_id=_speaker_id(speaker, config, model_path),
            length_scale=length_scale,
            noise_scale=noise_scale,
            noise_w_scale=noise_w_scale,
        )
        self.name = f"piper {model_path.stem}"
        self.sample_rate_hz = config.sample_rate
        self.knows_word_times = len(self._voice.session.get_outputs()) > 1
        self._try(model_path)

    def synthesize(self, speech: str, prosody: Prosody = NEUTRAL) -> Generator[SpeechChunk, None, None]:
        """Sound for one clause, a chunk per sentence, with marks if the voice knows its word times. Of the prosody a
        Piper voice has no pitch, and is never louder than by itself, which is full scale. Raises VoiceModelError if the
        voice fails."""
        from onnxruntime.capi import onnxruntime_pybind11_state as ort

        # Piper takes what stands in [[ ]] for phonemes, no NUL, and UTF-8 has no place for lone surrogates.
        speech = speech.replace("[[", "  ").replace("\0", " ").encode("utf-8", errors="replace").decode("utf-8")
        try:
            said = self._chars_said(speech)
            n_samples = 0
            config = self._flavoured(prosody)
            for chunk in self._voice.synthesize(speech, config, include_alignments=self.knows_word_times):
                samples = chunk.audio_int16_array.reshape(-1)
                marks = tuple(self._marks(chunk, said, n_samples))
                n_samples += samples.size
                yield SpeechChunk(samples=samples, marks=marks)
        except (ort.Fail, ort.InvalidArgument, ort.RuntimeException, KeyError, ValueError, RuntimeError) as error:
            raise VoiceModelError(f"{self.name} cannot speak: {_one_line(error)}") from error

    def _flavoured(self, prosody: Prosody) -> "SynthesisConfig":
        """The voice's settings in this prosody."""
        if prosody == NEUTRAL:
            return self._config
        own, wanted = self._voice.config, self._config

        def scale(given: float | None, default: float) -> float:
            return default if given is None else given

        return replace(
            wanted,
            length_scale=scale(wanted.length_scale, own.length_scale) / prosody.rate,
            noise_scale=scale(wanted.noise_scale, own.noise_scale) * prosody.variation,
            noise_w_scale=scale(wanted.noise_w_scale, own.noise_w_scale) * prosody.variation,
            volume=min(1.0, prosody.volume),
        )

    def _chars_said(self, speech: str) -> Iterator[int | None]:
        """For each word the voice will say, the characters of `speech` said after it; ends early if not known."""
        if not self.knows_word_times:
            return iter(())
        id_map = self._voice.config.phoneme_id_map
        sentences = self._voice.phonemize(speech)
        return iter(chars_said(speech, [word for sentence in sentences for word in spoken_words(sentence, id_map)]))

    def _marks(self, chunk: "AudioChunk", said: Iterator[int | None], first_sample: int) -> Iterator[WordMark]:
        if chunk.phoneme_id_samples is None:
            return
        id_samples = chunk.phoneme_id_samples.reshape(-1).tolist()
        ends = word_end_samples(chunk.phonemes, id_samples, self._voice.config.phoneme_id_map)
        # `ends` first: it must not run dry after `said` has given up a word of the next sentence.
        for end, chars in zip(ends, said, strict=False):
            if chars is not None:
                yield WordMark(chars=chars, sample=first_sample + end)

    def _try(self, model_path: Path) -> None:
        if not any(chunk.samples.size for chunk in list(self.synthesize("a"))):
            raise VoiceModelError(f"{model_path.name} makes no sound: is {model_path.name}.json the file it came with?")


def _read_config(model_path: Path, config_path: Path | None) -> "PiperConfig":
    from piper import PiperConfig

    path = config_path or model_path.with_name(model_path.name + ".json")
    if not model_path.is_file():
        raise VoiceModelError(f"no voice at {model_path}")
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        config = PiperConfig.from_dict(content)
    except FileNotFoundError as error:
        raise VoiceModelError(f"the voice {model_path.name} comes with a settings file, missing: {path}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise VoiceModelError(f"{path} is no Piper settings file: {_one_line(error)}") from error
    if config.phoneme_type.value not in _OFFLINE_PHONEMES:
        raise VoiceModelError(
            f"{path} asks for {config.phoneme_type.value} phonemes, which are made with downloaded models: "
            f"take a voice with {' or '.join(_OFFLINE_PHONEMES)} phonemes"
        )
    return config


def _load(model_path: Path, config: "PiperConfig", n_threads: int) -> "PiperVoice":
    """The voice, on a session of our own: piper-tts would take every core from the language model."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as ort
    from piper import PiperVoice
    from piper.phonemize_espeak import ESPEAK_DATA_DIR

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    try:
        model = with_durations(model_path.read_bytes())
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except OSError as error:
        raise VoiceModelError(f"{model_path} cannot be read: {error.strerror}") from error
    except (
        ValueError,
        ort.Fail,
        ort.InvalidArgument,
        ort.InvalidGraph,
        ort.InvalidProtobuf,
        ort.NotImplemented,
    ) as error:
        raise VoiceModelError(f"{model_path} is damaged or no ONNX model: {_one_line(error)}") from error
    missing = _INPUTS - {value.name for value in session.get_inputs()}
    if missing:
        raise VoiceModelError(f"{model_path} is no Piper voice: it has no input {', '.join(sorted(missing))}")
    return PiperVoice(session=session, config=config, espeak_data_dir=Path(espeak_data_path(Path(ESPEAK_DATA_DIR))))


def _speaker_id(speaker: str | int | None, config: "PiperConfig", model_path: Path) -> int | None:
    if speaker is None:
        return None
    speaker_id = config.speaker_id_map.get(speaker) if isinstance(speaker, str) else speaker
    if speaker_id is None or not 0 <= speaker_id < config.num_speakers:
        names = ", ".join(sorted(config.speaker_id_map)[:20]) or f"0 to {config.num_speakers - 1}"
        raise VoiceModelError(f"{model_path.name} has no speaker {speaker!r}; it has: {names}")
    return speaker_id


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__} {error}".split())[:200]
