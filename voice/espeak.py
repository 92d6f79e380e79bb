"""The voice of first resort: espeak-ng, in a hundred languages, from a library of 700 kB that speaks within 3 ms.

Text comes from `voice.clauses`, sound goes to the player through the `Synthesizer` seam. espeak-ng is
GPL-3.0-or-later; it is loaded by this module only, from the wheel `espeakng-loader`, and only when a synthesizer is
made. How a reply is cut, and what is said for its signs, is left to others.
"""

# ruff: noqa: RUF001  characters that resemble others are the subject here

import ctypes
import difflib
import math
import re
import threading
from collections.abc import Generator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from voice.errors import VoiceModelError
from voice.espeak_data import espeak_data_path
from voice.messages import NEUTRAL, Pcm, Prosody, SpeechChunk, WordMark

MIN_RATE_WPM, MAX_RATE_WPM = 80, 450
"""What espeak-ng documents for its rate."""

# From espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POS_CHARACTER = 1
_PARAMETER_RATE, _PARAMETER_VOLUME, _PARAMETER_PITCH, _PARAMETER_RANGE = 1, 2, 3, 4
_EVENT_LIST_TERMINATED, _EVENT_WORD = 0, 1

_BUFFER_MS = 500
"""Length of the pieces in which the library hands over sound: long, as each is a call into Python."""

_USUAL_VOLUME, _USUAL_RANGE = 100, 50
"""espeak-ng's own values; its volume ends at 200, its range at 99."""

_PITCH_PER_OCTAVE = 66
"""Of its scale of pitch, measured on "en" and "de" around the middle: ten steps are 11% up or 9% down."""

_SILENCE = 64
"""Samples no louder than this (-54 dB) are pause: espeak-ng's pauses are exact zeros, its voices peak near 10,000."""

_VOICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9/-]{0,30}(\+[A-Za-z0-9_-]{1,30})?")
"""A longer name overflows a buffer in the library and aborts the process (measured with 500 characters)."""

_BEFORE_WORD = re.compile(r"(^|\s+)[(\[{\"'“‘«„¿¡]*$")
"""What stands between a word and the first letter of the next, where the library says that the next begins."""

_LOADING = threading.Lock()


class EspeakSynthesizer:
    """One espeak-ng voice. A clause is made at once and yielded whole: ten words take 3 ms on a slow x86 core."""

    def __init__(self, voice: str = "en", *, rate_wpm: int = 165, pitch: int = 50) -> None:
        """Load the library (20 ms, once per process) and check the voice.

        `voice` is a language, an accent or a path below the library's voices, with a variant if one is wanted:
        "en", "en-us", "de+f3". `rate_wpm` is 80-450 words a minute, `pitch` 0-99.
        Raises VoiceModelError if the library is not installed, or does not know the voice or variant.
        """
        if not MIN_RATE_WPM <= rate_wpm <= MAX_RATE_WPM:
            raise VoiceModelError(f"espeak-ng speaks {MIN_RATE_WPM} to {MAX_RATE_WPM} words a minute, not {rate_wpm}")
        if not 0 <= pitch <= 99:
            raise VoiceModelError(f"espeak-ng's pitch goes from 0 to 99: {pitch} is none")
        with _LOADING:
            self._library = _library()
        self._manner = _Manner(voice=voice, rate_wpm=rate_wpm, pitch=pitch)
        self._library.check_voice(voice)
        self.name = f"espeak-ng {voice}"
        self.sample_rate_hz = self._library.sample_rate_hz

    def synthesize(self, speech: str, prosody: Prosody = NEUTRAL) -> Generator[SpeechChunk, None, None]:
        """Sound for one clause: one chunk with a mark per word, or none if there was nothing to say."""
        samples, word_starts = self._library.speak(speech, _flavoured(self._manner, prosody))
        if samples.size:
            yield SpeechChunk(samples=samples, marks=word_marks(speech, samples, word_starts))


def word_marks(speech: str, samples: Pcm, word_starts: list[tuple[int, int]]) -> tuple[WordMark, ...]:
    """Marks from (character, sample) where words start: the text before a start was said when its sound ended.

    Neither space nor pause is waited for: a word that was cut off in the silence behind it was heard.
    """
    sounding = np.flatnonzero(np.abs(samples.astype(np.int32)) > _SILENCE)
    marks: list[WordMark] = []
    for chars, start in [*word_starts, (len(speech), samples.size)]:
        # The library repeats a position for a number said in several words, and may name one inside a word.
        n_before = int(np.searchsorted(sounding, start))
        sample = int(sounding[n_before - 1]) + 1 if n_before else 0
        n_said = len(_BEFORE_WORD.sub("", speech[:chars]))
        last = marks[-1] if marks else WordMark(chars=0, sample=0)
        if n_said > last.chars and sample > last.sample:
            marks.append(WordMark(chars=n_said, sample=sample))
    return tuple(marks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manner:
    """How one synthesizer speaks; the library itself has one manner at a time for the whole process."""

    voice: str
    rate_wpm: int
    pitch: int
    volume: int = _USUAL_VOLUME
    pitch_range: int = _USUAL_RANGE


def _flavoured(manner: _Manner, prosody: Prosody) -> _Manner:
    """The manner in this prosody, within what the library knows."""
    pitch = manner.pitch + round(_PITCH_PER_OCTAVE * math.log2(prosody.pitch))
    return _Manner(
        voice=manner.voice,
        rate_wpm=min(max(round(manner.rate_wpm * prosody.rate), MIN_RATE_WPM), MAX_RATE_WPM),
        pitch=min(max(pitch, 0), 99),
        volume=round(_USUAL_VOLUME * prosody.volume),
        pitch_range=min(round(_USUAL_RANGE * prosody.variation), 99),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # characters, from 1
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Library:
    """libespeak-ng. Its state is global to the process, so each call of ours sets all of it, under one lock."""

    def __init__(self, library_path: str, data_folder: Path) -> None:
        try:
            self._native = ctypes.CDLL(library_path)
        except OSError as error:
            raise VoiceModelError(f"espeak-ng does not load: {error}; reinstall espeakng-loader") from error
        self._data_folder = data_folder
        self._lock = threading.Lock()
        self._pieces: list[Pcm] = []
        self._word_starts: list[tuple[int, int]] = []
        self._native.espeak_Synth.argtypes = (
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        )
        path = espeak_data_path(data_folder)
        self.sample_rate_hz: int = self._native.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, path.encode(), _INITIALIZE_DONT_EXIT
        )
        if self.sample_rate_hz <= 0:
            raise VoiceModelError(f"espeak-ng cannot read its data in {data_folder}: reinstall espeakng-loader")
        # Kept for the life of the library, which calls it.
        self._callback = _SynthCallback(self._collect)
        self._native.espeak_SetSynthCallback(self._callback)

    def check_voice(self, voice: str) -> None:
        """Raise VoiceModelError unless the library has this voice, and its variant if one is named."""
        name, _, variant = voice.partition("+")
        known = sorted(path.name for path in (self._data_folder / "lang").rglob("*") if path.is_file())
        with self._lock:
            if not _VOICE_NAME.fullmatch(voice) or self._native.espeak_SetVoiceByName(voice.encode()) != 0:
                near = difflib.get_close_matches(name, known, n=4, cutoff=0.3)
                raise VoiceModelError(
                    f"espeak-ng has no voice {voice[:40]!r}; "
                    + (f"near it: {', '.join(near)}; " if near else "")
                    + f"all are the file names under {self._data_folder / 'lang'}"
                )
        variants = self._data_folder / "voices" / "!v"
        if variant and not (variants / variant).is_file():
            raise VoiceModelError(f"espeak-ng has no variant {variant!r}; all are the file names in {variants}")

    def speak(self, speech: str, manner: _Manner) -> tuple[Pcm, list[tuple[int, int]]]:
        """The sound of `speech` and, for each word the library saw, (characters before it, sample it starts at)."""
        # A NUL would end the text early; what UTF-8 cannot hold would not reach the library at all.
        text = speech.replace("\0", " ").encode("utf-8", errors="replace")
        with self._lock:
            self._pieces, self._word_starts = [], []
            errors = (
                self._native.espeak_SetVoiceByName(manner.voice.encode()),
                self._native.espeak_SetParameter(_PARAMETER_RATE, manner.rate_wpm, 0),
                self._native.espeak_SetParameter(_PARAMETER_PITCH, manner.pitch, 0),
                self._native.espeak_SetParameter(_PARAMETER_VOLUME, manner.volume, 0),
                self._native.espeak_SetParameter(_PARAMETER_RANGE, manner.pitch_range, 0),
                self._native.espeak_Synth(text, len(text) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None),
            )
            if any(errors):
                raise VoiceModelError(f"espeak-ng fails to speak with the voice {manner.voice!r}: codes {errors}")
            samples = np.concatenate(self._pieces) if self._pieces else np.empty(0, np.int16)
            return samples, self._word_starts

    def _collect(
        self, wav: "ctypes._Pointer[ctypes.c_short]", n_samples: int, events: "ctypes._Pointer[_Event]"
    ) -> int:
        """Called by the library, on the thread that speaks, with each piece of sound; 0 tells it to go on."""
        at = 0
        while (event := events[at]).type != _EVENT_LIST_TERMINATED:
            if event.type == _EVENT_WORD:
                self._word_starts.append((event.text_position - 1, event.sample))
            at += 1
        if wav and n_samples > 0:
            self._pieces.append(np.ctypeslib.as_array(wav, shape=(n_samples,)).copy())
        return 0


@cache
def _library() -> _Library:
    """The library, once per process: it can neither be loaded twice nor initialised again without a leak."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise VoiceModelError(
            "the espeak-ng library is not installed: pip install 'familiar-companion[starter]'"
        ) from error
    return _Library(espeakng_loader.get_library_path(), Path(espeakng_loader.get_data_path()))
