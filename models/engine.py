"""The engine: one llama.cpp model and one context, blocking, used from one thread at a time.

A prompt of tokens goes in (`prefill`: only what the KV cache does not hold yet is computed), pieces of the reply come
out (`generate`). Prompts are built by `models.prompt`; threads, queues and cancelled tasks are left to
`models.worker`. Only llama.cpp's C API is used, not the `Llama` class, which hides the cache.
"""

import logging
import os
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from models.detok import ReplyText
from models.errors import ModelError, ModelFileError, PromptTooLongError
from models.gguf import GgufHeader, read_gguf_header
from models.interrupt import StopSignal
from models.kv import KvCache
from models.messages import Finished, FinishReason, Piece, Prefilled
from models.native import LlamaCpp, llama_cpp
from models.sampling import Sampling, sampler_chain
from models.template import ChatTemplate
from models.threads import default_threads
from models.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

_NATIVE_KV_TYPES = {"f16": 1, "q8_0": 8}  # ggml_type


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How to run a model. `threads` 0 means all physical cores but one, at most 4.

    `n_ctx` tokens of context are allocated (cut to what the model was trained with). `n_batch` tokens are computed at
    once: 64 prefills within 8% of the speed of 512 (SmolLM2-135M, two cores), keeps the compute buffer at 2 MB, and an
    abort on a GPU waits for one batch at most. `gpu_layers` -1 puts all layers on a GPU where llama.cpp was built for
    one. `kv_type` "q8_0" halves the cache. Flash attention is llama.cpp's choice. Without `mmap` the weights are read
    into memory of the process.
    """

    n_ctx: int = 2048
    n_batch: int = 64
    threads: int = 0
    gpu_layers: int = -1
    kv_type: Literal["f16", "q8_0"] = "f16"
    mmap: bool = True

    def __post_init__(self) -> None:
        if self.n_ctx < 1 or self.n_batch < 1 or self.threads < 0:
            raise ValueError("n_ctx and n_batch must be at least 1, threads at least 0")


class LlamaEngine:
    """A loaded model. A context manager; `close` frees the memory, once, and may be called again."""

    def __init__(self, path: Path, settings: EngineSettings | None = None) -> None:
        """Load the model. Blocks for as long as that takes (0.1 s for 100 MB in the page cache).

        Raises ModelFileError for a file that is not a whole, known model, ModelError when memory does not suffice.
        """
        settings = settings or EngineSettings()
        self.header: GgufHeader = read_gguf_header(path)
        _check_is_model(path, self.header)
        llama = llama_cpp()
        self._lib = llama.lib
        model = _load_model(llama, path, settings)
        try:
            self._context = _new_context(llama, path, model, settings, self.header)
        except ModelError:
            self._lib.llama_model_free(model)
            raise
        self._free = weakref.finalize(self, _free, self._lib, self._context, model)
        self.vocabulary = Vocabulary(self._lib, model)
        self._kv = KvCache(llama, self._context, n_batch=settings.n_batch)
        self._has_logits = False

    @property
    def n_ctx(self) -> int:
        """Tokens that fit: prompt and reply together."""
        return self._kv.n_ctx

    @property
    def cached_tokens(self) -> tuple[int, ...]:
        """What stands in the KV cache."""
        return self._kv.tokens

    def chat_template(self, source: str | None = None) -> ChatTemplate:
        """The chat template of the model file, or `source` in its place. Raises TemplateError."""
        return ChatTemplate(
            self.header.chat_template if source is None else source,
            bos=self.vocabulary.bos_text,
            eos=self.vocabulary.eos_text,
            model_name=self.header.name,
        )

    def prefill(self, tokens: Sequence[int], stop_signal: StopSignal | None = None) -> Prefilled | None:
        """Make the KV cache hold exactly `tokens`, computing only what it lacks. None when `stop_signal` ended it
        early; what was computed until then stays for the next time.

        Raises PromptTooLongError when they do not fit into `n_ctx`, ModelError when llama.cpp fails.
        """
        self._require_open()
        if not tokens:
            raise ValueError("an empty prompt cannot be prefilled")
        if len(tokens) > self.n_ctx:
            raise PromptTooLongError(f"the prompt has {len(tokens)} tokens, the context holds {self.n_ctx}")
        self._has_logits = False
        self._kv.watch(stop_signal or StopSignal())
        n_reused, n_shifted = self._kv.keep_only(tokens)
        if not self._kv.decode(tokens[n_reused:]):
            return None
        self._has_logits = True
        return Prefilled(n_reused=n_reused, n_shifted=n_shifted, n_prefilled=len(tokens) - n_reused)

    def generate(
        self,
        sampling: Sampling,
        *,
        max_tokens: int,
        stop: tuple[str, ...] = (),
        stop_signal: StopSignal | None = None,
    ) -> Iterator[Piece | Finished]:
        """The reply to the prefilled prompt, piece by piece, then one Finished. One reply at a time; after it (or after
        dropping the iterator) comes the next `prefill`.

        A stop string ends the reply and is never part of a piece. Once `stop_signal` is set no piece follows.
        """
        self._require_open()
        if not self._has_logits:
            raise RuntimeError("generate() follows a prefill() that was not stopped")
        signal = stop_signal or StopSignal()
        self._kv.watch(signal)
        self._has_logits = False
        text = ReplyText(stop)
        reason: FinishReason = "max_tokens"
        with sampler_chain(self._lib, sampling, n_vocab=self.vocabulary.n_tokens) as chain:
            for _ in range(max_tokens):
                token = self._lib.llama_sampler_sample(chain, self._context, -1)
                if self.vocabulary.ends_turn(token):
                    reason = "end_of_turn"
                    break
                piece = text.push(token, self.vocabulary.token_bytes(token))
                if piece is not None and not signal.is_set():
                    yield piece
                    self._require_open()  # it may have been closed while the reader had the turn
                if text.stopped:
                    reason = "stop_string"
                    break
                if self._kv.is_full:
                    reason = "context_full"
                    break
                if not self._kv.decode_one(token):
                    reason = "aborted"
                    break
        rest = None if text.stopped else text.finish()
        if signal.is_set():
            reason = "aborted"
        elif rest is not None:
            yield rest
        yield Finished(reason=reason)

    def close(self) -> None:
        """Free context and model. The vocabulary must not be used any more."""
        self._free()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _require_open(self) -> None:
        if not self._free.alive:
            raise RuntimeError("the engine is closed")


def _check_is_model(path: Path, header: GgufHeader) -> None:
    if header.kind != "model":
        raise ModelFileError(f"{path} holds no model but a part of kind {header.kind!r}; give the model it belongs to")
    if header.n_tensors == 0:
        raise ModelFileError(f"{path} holds a vocabulary without weights; give a whole model")


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
    """A context for one sequence that computes the logits of one token per batch."""
    lib = llama.lib
    params = lib.llama_context_default_params()
    n_trained = header.context_length or settings.n_ctx
    if settings.n_ctx > n_trained:
        logger.warning("%s was trained with %d tokens of context; n_ctx is cut to that", path.name, n_trained)
    params.n_ctx = min(settings.n_ctx, n_trained)
    params.n_batch = params.n_ubatch = settings.n_batch
    params.n_outputs_max = 1  # else llama.cpp reserves room for the logits of every token of a batch
    params.n_threads = params.n_threads_batch = settings.threads or default_threads()
    params.type_k = params.type_v = _NATIVE_KV_TYPES[settings.kv_type]
    params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_AUTO
    llama.take_complaints()
    context = lib.llama_init_from_model(model, params)
    if not context:
        reason = llama.take_complaints() or "llama.cpp gives no reason"
        raise ModelError(f"no context of {params.n_ctx} tokens for {path.name}: {reason}; try a smaller n_ctx")
    if not lib.llama_get_memory(context) or lib.llama_model_has_encoder(model):
        lib.llama_free(context)
        raise ModelFileError(f"{path} is no chat model (architecture {header.architecture!r} does not generate text)")
    return context


def _free(lib: Any, context: Any, model: Any) -> None:
    lib.llama_free(context)
    lib.llama_model_free(model)
