"""A Piper voice small enough for tests: Piper's interface and one tone per phoneme, of a duration known beforehand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

HOP_SAMPLES = 256
RATE_HZ = 22_050
N_SYMBOLS = 256
SILENT_FRAMES = 2
SOUNDING_FRAMES = 6
SILENT_PHONEMES = "_^$ .,!?;:"


def write_tone_voice(
    folder: Path, *, with_ceil: bool = True, n_speakers: int = 1, settings: dict[str, object] | None = None
) -> Path:
    """Write `tone.onnx` and its settings into `folder`; return the path of the network.

    Padding, borders and punctuation last SILENT_FRAMES frames of HOP_SAMPLES, every other phoneme id SOUNDING_FRAMES.
    Without `with_ceil` no Ceil node tells the durations.
    """
    from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

    path = folder / "tone.onnx"
    silent_ids = [DEFAULT_PHONEME_ID_MAP[phoneme][0] for phoneme in SILENT_PHONEMES]
    onnx.save(_network(silent_ids, with_ceil=with_ceil, n_speakers=n_speakers), str(path))
    content: dict[str, object] = {
        "audio": {"sample_rate": RATE_HZ},
        "espeak": {"voice": "en-us"},
        "phoneme_type": "espeak",
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
        "num_symbols": N_SYMBOLS,
        "num_speakers": n_speakers,
        "speaker_id_map": {f"speaker{number}": number for number in range(n_speakers)} if n_speakers > 1 else {},
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
        "hop_length": HOP_SAMPLES,
    }
    content.update(settings or {})
    path.with_name("tone.onnx.json").write_text(json.dumps(content), encoding="utf-8")
    return path


def _network(silent_ids: list[int], *, with_ceil: bool, n_speakers: int) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, [1, "phonemes"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    if n_speakers > 1:
        inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, [1]))
    graph = helper.make_graph(
        _nodes(with_ceil=with_ceil),
        "tones",
        inputs,
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, "samples"])],
        [numpy_helper.from_array(value, name) for name, value in _constants(silent_ids).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _constants(silent_ids: list[int]) -> dict[str, NDArray[Any]]:
    frames = np.full(N_SYMBOLS, SOUNDING_FRAMES, np.float32)
    frames[silent_ids] = SILENT_FRAMES
    loudness = np.full(N_SYMBOLS, 0.5, np.float32)
    loudness[silent_ids] = 0.0
    pitch = (200 + 5 * np.arange(N_SYMBOLS)).astype(np.float32) * np.float32(2 * np.pi / RATE_HZ)
    return {
        "frames": frames,
        "loudness": loudness,
        "pitch": pitch,
        "hop": np.array(HOP_SAMPLES, np.int64),
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "axis0": np.array([0], np.int64),
        "axis1": np.array([1], np.int64),
        "flat": np.array([-1], np.int64),
        "audio_shape": np.array([1, 1, 1, -1], np.int64),
    }


def _nodes(*, with_ceil: bool) -> list[onnx.NodeProto]:
    """Frames per phoneme, the phoneme of each frame, and one tone per frame."""
    return [
        helper.make_node("Gather", ["frames", "input"], ["mean_frames"]),
        helper.make_node("Gather", ["scales", "one"], ["length_scale"]),
        helper.make_node("Mul", ["mean_frames", "length_scale"], ["scaled_frames"]),
        helper.make_node("Ceil" if with_ceil else "Round", ["scaled_frames"], ["w_ceil"]),
        helper.make_node("Reshape", ["w_ceil", "flat"], ["n_frames"]),
        helper.make_node("CumSum", ["n_frames", "zero"], ["ends"]),
        helper.make_node("ReduceMax", ["ends"], ["n_total"], keepdims=0),
        helper.make_node("Cast", ["n_total"], ["n_total_int"], to=TensorProto.INT64),
        # Which phoneme each frame belongs to: the number of phonemes that ended before it.
        helper.make_node("Range", ["zero", "n_total_int", "one"], ["frame"]),
        helper.make_node("Cast", ["frame"], ["frame_float"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["frame_float", "axis1"], ["frame_column"]),
        helper.make_node("Unsqueeze", ["ends", "axis0"], ["end_row"]),
        helper.make_node("GreaterOrEqual", ["frame_column", "end_row"], ["is_past"]),
        helper.make_node("Cast", ["is_past"], ["is_past_int"], to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["is_past_int", "axis1"], ["frame_phoneme"], keepdims=0),
        helper.make_node("Reshape", ["input", "flat"], ["ids"]),
        helper.make_node("Gather", ["ids", "frame_phoneme"], ["frame_id"]),
        # One tone per frame, as long as a hop.
        helper.make_node("Range", ["zero", "hop", "one"], ["hop_range"]),
        helper.make_node("Cast", ["hop_range"], ["hop_float"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["pitch", "frame_id"], ["frame_pitch"]),
        helper.make_node("Gather", ["loudness", "frame_id"], ["frame_loudness"]),
        helper.make_node("Unsqueeze", ["frame_pitch", "axis1"], ["pitch_column"]),
        helper.make_node("Unsqueeze", ["frame_loudness", "axis1"], ["loudness_column"]),
        helper.make_node("Mul", ["pitch_column", "hop_float"], ["phase"]),
        helper.make_node("Cos", ["phase"], ["wave"]),
        helper.make_node("Mul", ["wave", "loudness_column"], ["sound"]),
        helper.make_node("Reshape", ["sound", "audio_shape"], ["output"]),
    ]
