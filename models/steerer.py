"""Steering a running model: sets LoRA adapters and control vectors on its context, and takes them off again.

The `Steerer` of a loaded model makes a `Steering` so, or leaves everything as it is; adapters stay loaded for a while,
so that going back to a character takes no time. What stands in the KV cache was computed with the old steering; to
drop it is left to the caller. What the files may hold is checked in `models.steering_files`.
"""

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelFileError, SteeringError
from models.fingerprint import StampedFile, stamped
from models.loading import LoadedModel
from models.steering import Steering
from models.steering_files import check_adapter, read_control_vector

_MOST_LOADED = 4
"""Adapters that stay in memory, those in use included: a rank 16 LoRA of a 1.5B model has 37 MB in F16."""


_Weighted = tuple[tuple[StampedFile, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Applied:
    """What is set: adapters and control vectors, as their files were before they were read."""

    scales: _Weighted = ()
    strengths: _Weighted = ()


class Steerer:
    """Sets adapters and vectors on the context of one loaded model. Blocking; for the engine's thread, between two
    decodings. What it loads is freed with the model, by llama.cpp."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._lib = loaded.lib
        self._n_embd: int = self._lib.llama_model_n_embd(loaded.model)
        self._n_layers: int = self._lib.llama_model_n_layer(loaded.model)
        self._adapters: dict[StampedFile, Any] = {}  # the one used longest ago first
        self._applied = _Applied()

    @property
    def files(self) -> tuple[StampedFile, ...]:
        """The files of the adapters and vectors that are set."""
        return tuple(file for file, _ in self._applied.scales + self._applied.strengths)

    def apply(self, steering: Steering) -> bool:
        """Make `steering` what the model computes with from now on. True when that changed anything: the KV cache is
        then of no use. Everything is checked before anything is set.

        A new adapter of 20 MB takes 40 ms, one that was used lately 0.3 ms, a control vector 3 ms (SmolLM2-135M). The
        next decoding takes some milliseconds longer, because llama.cpp plans its memory anew; each token after that
        takes a sixth longer with an adapter of rank 16 on all layers, and no longer with a vector.

        Raises SteeringError, and then nothing has changed; RuntimeError after the model was closed.
        """
        context = self._loaded.context
        wanted = _Applied(scales=_stamped(steering.scales()), strengths=_stamped(steering.strengths()))
        if wanted == self._applied:
            return False
        try:
            handles = [self._adapter(file) for file, _ in wanted.scales]
            if wanted.strengths != self._applied.strengths:
                self._set_directions(context, self._summed(wanted.strengths))
            self._set_adapters(context, handles, [scale for _, scale in wanted.scales])
            self._applied = wanted
        finally:
            self._free_unused()
        return True

    def _summed(self, strengths: _Weighted) -> NDArray[np.float32] | None:
        """The directions to set, one row for each layer from 1 on; None for none."""
        total = None
        for file, strength in strengths:
            directions = read_control_vector(
                self._loaded.llama,
                file.path,
                architecture=self._loaded.header.architecture,
                n_embd=self._n_embd,
                n_layers=self._n_layers,
            )
            with np.errstate(over="ignore", invalid="ignore"):  # looked for below
                total = strength * directions if total is None else total + strength * directions
        if total is not None and not np.isfinite(total).all():
            raise SteeringError("the control vectors add up to more than a number can hold; lower their strengths")
        return total

    def _adapter(self, file: StampedFile) -> Any:
        """The adapter's handle, loaded where it is not yet."""
        handle = self._adapters.pop(file, None)
        if handle is None:
            llama, path = self._loaded.llama, file.path
            check_adapter(llama, path, self._loaded.header.architecture)
            llama.take_complaints()
            handle = self._lib.llama_adapter_lora_init(self._loaded.model, os.fsencode(path))
            reason = llama.take_complaints()
            if not handle:
                raise SteeringError(f"{path} does not fit this model: {reason or 'llama.cpp gives no reason'}")
        self._adapters[file] = handle
        return handle

    def _set_directions(self, context: Any, directions: NDArray[np.float32] | None) -> None:
        last_layer = self._n_layers - 1
        if directions is None:
            self._lib.llama_set_adapter_cvec(context, None, 0, self._n_embd, 1, last_layer)
            return
        data = np.ascontiguousarray(directions, dtype=np.float32)
        pointer = data.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        if self._lib.llama_set_adapter_cvec(context, pointer, data.size, self._n_embd, 1, last_layer) != 0:
            raise SteeringError(f"no control vector could be set: {self._loaded.llama.take_complaints()}")

    def _set_adapters(self, context: Any, handles: list[Any], scales: list[float]) -> None:
        n = len(handles)
        native = (self._lib.llama_adapter_lora_p_ctypes * n)(*handles)
        self._lib.llama_set_adapters_lora(context, native, n, (ctypes.c_float * n)(*scales))

    def _free_unused(self) -> None:
        """Give back the memory of adapters not used lately; those in use were touched last."""
        in_use = {file for file, _ in self._applied.scales}
        for file in list(self._adapters)[: max(0, len(self._adapters) - _MOST_LOADED)]:
            if file not in in_use:
                self._lib.llama_adapter_lora_free(self._adapters.pop(file))


def _stamped(weights: Mapping[Path, float]) -> _Weighted:
    try:
        return tuple((stamped(path), weight) for path, weight in weights.items())
    except ModelFileError as error:
        raise SteeringError(str(error)) from error
