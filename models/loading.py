"""Loading a model into llama.cpp and giving its memory back.

Takes a path and settings, gives the native handles that `models.engine`, `models.kv` and `models.vocabulary` work with.
The file is checked first (`models.gguf`), so that llama.cpp only sees what is whole, and so is the room for it
(`models.footprint`, `models.ram`): a system short of memory kills processes without a word.
"""

import logging
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import ModelError, ModelFileError
from models.fingerprint import StampedFile, stamped
from models.footprint import CONTEXT_STEP, KvType, footprint, largest_context
from models.gguf import GgufHeader, read_gguf_header
from models.native import LlamaCpp, llama_cpp
from models.ram import read_ram
from models.threads import default_threads

logger = logging.getLogger(__name__)

SEQUENCES = 2
"""The committed conversation and its fork (`models.kv`)."""

_CPU_BATCH, _GPU_BATCH = 64, 512

_NATIVE_KV_TYPES = {"f16": 1, "q8_0": 8}  # ggml_type


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How to run a model. `threads` 0 means all physical cores but one, at most 4; never more run than processors.

    `n_ctx` tokens of context are allocated (cut to what the model was trained with). `n_batch` tokens are computed at
    once; 0 means 64 on a CPU, which prefills within 2% of the best speed (SmolLM2-135M, one thread: 167 tokens/s; 16:
    159, 128: 170, 512: 162) with a compute buffer of 6 MB, and 512 on a GPU: llama.cpp's own choice, not measured here
    (an abort on a GPU waits for one batch). `gpu_layers` -1 puts all on a GPU where llama.cpp was built for one.
    `kv_type` "q8_0" halves the cache; it costs speed (on a CPU 60% with a full context), and in some models it cannot
    be shifted (`models.engine`), so that what follows a removed part is computed anew. `flash_attention` None means off
    on a CPU, where it is mostly the slower way (14 tokens after 1800 of SmolLM2-135M: 210 ms with it, 128 without), and
    llama.cpp's choice on a GPU; a "q8_0" cache always has it, needing it. Without `mmap` the weights are read into
    memory of the process.
    """

    n_ctx: int = 2048
    n_batch: int = 0
    threads: int = 0
    gpu_layers: int = -1
    kv_type: KvType = "f16"
    flash_attention: bool | None = None
    mmap: bool = True

    def __post_init__(self) -> None:
        if self.n_ctx < 1 or self.n_batch < 0 or self.threads < 0:
            raise ValueError("n_ctx must be at least 1, n_batch and threads at least 0")


class LoadedModel:
    """A model and its one context. Whoever holds this object may use the handles: memory is given back, once, by
    `close` or when nobody holds it any more, and a handle asked for after that is an error, not a crash."""

    def __init__(self, path: Path, settings: EngineSettings) -> None:
        """Blocks for 0.1 s per 100 MB in the page cache. Raises ModelFileError for a file that is not a whole, known
        model, ModelError when memory does not suffice: before anything is loaded, where that can be told (on a CPU)."""
        self.header: GgufHeader = read_gguf_header(path)
        _check_is_model(path, self.header)
        self.llama: LlamaCpp = llama_cpp()
        self.lib: Any = self.llama.lib
        _check_fits(self.lib, path, self.header, settings)
        self.file: StampedFile = stamped(path)  # before its weights are read: one that is replaced later is another
        self._model = _load_model(self.llama, path, settings)
        try:
            self._context = _new_context(self.llama, path, self._model, settings, self.header)
        except ModelError:
            self.lib.llama_model_free(self._model)
            raise
        self.llama.take_complaints()  # warnings of a model that loaded explain no later failure
        self._free = weakref.finalize(self, _free, self.lib, self._context, self._model)

    @property
    def model(self) -> Any:
        """The `llama_model` pointer. Raises RuntimeError after `close`."""
        if not self._free.alive:
            raise RuntimeError("the model is closed")
        return self._model

    @property
    def context(self) -> Any:
        """The `llama_context` pointer. Raises RuntimeError after `close`."""
        if not self._free.alive:
            raise RuntimeError("the model is closed")
        return self._context

    @property
    def n_batch(self) -> int:
        """How many tokens are computed at once."""
        n_batch: int = self.lib.llama_n_batch(self.context)
        return n_batch

    def close(self) -> None:
        """Free context and model. May be called again."""
        self._free()


def _check_is_model(path: Path, header: GgufHeader) -> None:
    if header.kind != "model":
        raise ModelFileError(f"{path} holds no model but a part of kind {header.kind!r}; give the model it belongs to")
    if header.n_tensors == 0:
        raise ModelFileError(f"{path} holds a vocabulary without weights; give a whole model")


def _check_fits(lib: Any, path: Path, header: GgufHeader, settings: EngineSettings) -> None:
    """A GPU has memory of its own, and llama.cpp says when that is too little."""
    if not _on_cpu(lib, settings):
        return
    n_batch, flash = _batch_tokens(lib, settings), _flash_attention(lib, settings) != lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
    n_ctx = min(settings.n_ctx, header.context_length or settings.n_ctx)
    needs = footprint(header, n_ctx=n_ctx, n_batch=n_batch, kv_type=settings.kv_type, flash_attention=flash)
    weights_bytes = 0 if settings.mmap else needs.weights_bytes
    room_bytes = read_ram().available_bytes - weights_bytes
    if needs.context_bytes <= room_bytes:
        return
    largest = largest_context(header, room_bytes, n_batch=n_batch, kv_type=settings.kv_type, flash_attention=flash)
    where = "beside its weights " if weights_bytes else ""
    raise ModelError(
        f"{path.name} with a context of {n_ctx} tokens needs {needs.context_bytes / 1e9:.2f} GB of memory {where}"
        f"(KV cache {needs.kv_bytes / 1e9:.2f} GB), and {max(0, room_bytes) / 1e9:.2f} GB are free: "
        + (f"at most {largest} tokens fit" if largest else f"not even {CONTEXT_STEP} tokens fit, take a smaller model")
    )


def _load_model(llama: LlamaCpp, path: Path, settings: EngineSettings) -> Any:
    lib = llama.lib
    params = lib.llama_model_default_params()
    params.n_gpu_layers = settings.gpu_layers
    params.load_mode = lib.LLAMA_LOAD_MODE_MMAP if settings.mmap else lib.LLAMA_LOAD_MODE_NONE
    llama.take_complaints()
    model = lib.llama_model_load_from_file(os.fsencode(path), params)
    if not model:
        raise ModelFileError(f"{path} cannot be loaded: {llama.take_complaints() or 'llama.cpp gives no reason'}")
    return model


def _new_context(llama: LlamaCpp, path: Path, model: Any, settings: EngineSettings, header: GgufHeader) -> Any:
    """A context for a conversation and its fork, in cells that both share; logits of one token per batch."""
    lib = llama.lib
    params = lib.llama_context_default_params()
    n_trained = header.context_length or settings.n_ctx
    if settings.n_ctx > n_trained:
        logger.warning("%s was trained with %d tokens of context; n_ctx is cut to that", path.name, n_trained)
    params.n_ctx = min(settings.n_ctx, n_trained)
    params.n_batch = params.n_ubatch = _batch_tokens(lib, settings)
    params.n_seq_max, params.kv_unified = SEQUENCES, True
    params.n_outputs_max = SEQUENCES  # else llama.cpp reserves room for the logits of every token of a batch
    params.n_threads = params.n_threads_batch = _threads(settings)
    params.type_k = params.type_v = _NATIVE_KV_TYPES[settings.kv_type]
    params.flash_attn_type = _flash_attention(lib, settings)
    llama.take_complaints()
    context = lib.llama_init_from_model(model, params)
    if not context:
        reason = llama.take_complaints() or "llama.cpp gives no reason"
        raise ModelError(f"no context of {params.n_ctx} tokens for {path.name}: {reason}; try a smaller n_ctx")
    if not lib.llama_get_memory(context) or lib.llama_model_has_encoder(model):
        lib.llama_free(context)
        raise ModelFileError(f"{path} is no chat model (architecture {header.architecture!r} does not generate text)")
    return context


def _threads(settings: EngineSettings) -> int:
    """What is asked for, up to one for each processor: more wait for each other at every operation, and a reply that
    takes seconds then takes minutes."""
    most = os.cpu_count() or 1
    if settings.threads > most:
        logger.warning("%d threads are too many for %d processors; %d are used", settings.threads, most, most)
    return min(settings.threads, most) or default_threads()


def _batch_tokens(lib: Any, settings: EngineSettings) -> int:
    return settings.n_batch or (_CPU_BATCH if _on_cpu(lib, settings) else _GPU_BATCH)


def _flash_attention(lib: Any, settings: EngineSettings) -> int:
    disabled, auto = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED, lib.LLAMA_FLASH_ATTN_TYPE_AUTO
    wanted = settings.flash_attention
    if wanted is None:
        wanted = not _on_cpu(lib, settings)
    kind: int = auto if wanted or settings.kv_type != "f16" else disabled
    return kind


def _on_cpu(lib: Any, settings: EngineSettings) -> bool:
    return settings.gpu_layers == 0 or not lib.llama_supports_gpu_offload()


def _free(lib: Any, context: Any, model: Any) -> None:
    lib.llama_free(context)
    lib.llama_model_free(model)
