"""Hidden states of a model: what each layer makes of a prompt, at its last token.

llama.cpp shows every tensor of its compute graph to a callback, if a context is made with one; the outputs of layers
are called `l_out-N`. Layer 0 is left out, because nothing can be added to it later. What the states are good for is
left to `tools.control_vector`.
"""

import ctypes
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError, SteeringError
from models.loading import EngineSettings, LoadedModel
from models.template import ChatTemplate
from models.vocabulary import Vocabulary

MOST_TOKENS = 512
"""Of one prompt: it is computed in a single batch, so that the last row of a layer's output is its last token."""

_LAYER_OUTPUT = re.compile(rb"l_out-([0-9]+)")
_F32_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A message of a person, and how the answer to it begins (may be empty)."""

    said: str
    begun: str = ""


class HiddenStates:
    """A loaded model whose layers are looked into. Blocking; a context manager, closed once."""

    def __init__(self, path: Path, *, threads: int = 0, gpu_layers: int = -1) -> None:
        """Raises ModelFileError, ModelError or TemplateError as an engine does."""
        settings = EngineSettings(n_ctx=MOST_TOKENS, threads=threads, gpu_layers=gpu_layers)
        self._loaded = LoadedModel(path, settings)
        try:
            self.architecture = self._loaded.header.architecture
            self._lib = self._loaded.lib
            self._vocabulary = Vocabulary(self._loaded)
            self._template = ChatTemplate(
                self._loaded.header.chat_template,
                bos=self._vocabulary.bos_text,
                eos=self._vocabulary.eos_text,
                model_name=self._loaded.header.name,
            )
            self._watch = _LayerWatch(self._loaded)
            self._context = self._new_context()
        except ModelError:
            self._loaded.close()
            raise
        # Native code calls back into Python, where Ctrl-C would be raised and lost; in another thread it never is.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hidden-states")

    def of(self, opening: Opening) -> NDArray[np.float32]:
        """The states at the last token of the prompt, one row for each layer from 1 on.

        Raises SteeringError for a prompt that is too long, ModelError when llama.cpp fails or its layers are not found.
        """
        tokens = self._tokens(opening)
        if len(tokens) > MOST_TOKENS:
            raise SteeringError(f"a prompt of {len(tokens)} tokens is too long; at most {MOST_TOKENS} are compared")
        return self._thread.submit(self._compute, tokens).result()

    def close(self) -> None:
        """Wait for the prompt at hand, and free the model."""
        self._thread.shutdown()
        self._lib.llama_free(self._context)
        self._loaded.close()

    def _new_context(self) -> Any:
        """A context of its own: the callback can only be given when it is made."""
        params = self._lib.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = MOST_TOKENS
        params.n_outputs_max = 1
        params.n_threads = params.n_threads_batch = self._lib.llama_n_threads(self._loaded.context)
        params.cb_eval = self._watch.callback
        context = self._lib.llama_init_from_model(self._loaded.model, params)
        if not context:
            raise ModelError(f"no context of {MOST_TOKENS} tokens: {self._loaded.llama.take_complaints()}")
        return context

    def _tokens(self, opening: Opening) -> list[int]:
        tokens: list[int] = []
        for segment in self._template.render(("user",)):
            by_template = isinstance(segment, str)
            text = str(segment) if by_template else opening.said
            tokens += self._vocabulary.tokenize(text, parse_special=by_template, continues=bool(tokens))
        tokens += self._vocabulary.tokenize(opening.begun, parse_special=False, continues=True)
        leading = self._vocabulary.leading_token
        return tokens if leading is None or tokens[0] == leading else [leading, *tokens]

    def _compute(self, tokens: list[int]) -> NDArray[np.float32]:
        everything = True
        self._lib.llama_memory_clear(self._lib.llama_get_memory(self._context), everything)
        self._watch.begin()
        native = (self._lib.llama_token * len(tokens))(*tokens)  # a batch only points to its tokens
        answer = self._lib.llama_decode(self._context, self._lib.llama_batch_get_one(native, len(tokens)))
        if answer != 0:
            reason = self._loaded.llama.take_complaints() or "no reason given"
            raise ModelError(f"llama.cpp could not evaluate a prompt (code {answer}): {reason}")
        return self._watch.taken()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _LayerWatch:
    """Copies the last row of each layer's output while the graph is computed."""

    def __init__(self, loaded: LoadedModel) -> None:
        lib = loaded.lib
        self._n_embd: int = lib.llama_model_n_embd(loaded.model)
        self._rows = np.zeros((lib.llama_model_n_layer(loaded.model) - 1, self._n_embd), dtype=np.float32)
        self._seen: set[int] = set()
        self.callback = lib.ggml_backend_sched_eval_callback(self._on_tensor)
        native = lib._lib  # through libllama the names of the ggml libraries below it are found too
        self._name = native["ggml_get_name"]
        self._name.restype, self._name.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
        self._n_bytes = native["ggml_nbytes"]
        self._n_bytes.restype, self._n_bytes.argtypes = ctypes.c_size_t, [ctypes.c_void_p]
        self._get = native["ggml_backend_tensor_get"]
        self._get.restype = None
        self._get.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]

    def begin(self) -> None:
        self._seen.clear()

    def taken(self) -> NDArray[np.float32]:
        """The rows. Raises ModelError unless all layers were seen."""
        if len(self._seen) != len(self._rows) or not self._seen:
            raise ModelError(
                f"{len(self._seen)} of {len(self._rows)} layers of this model could be looked into; steering needs all"
            )
        return self._rows.copy()

    def _on_tensor(self, tensor: int, ask: bool, _data: object) -> bool:
        """Called for every tensor: whether it is wanted (`ask`), then, computed, with its values. Nothing here may
        raise: an error could not cross the native code."""
        match = _LAYER_OUTPUT.fullmatch(self._name(tensor) or b"")
        layer = int(match[1]) if match else 0
        if not 1 <= layer <= len(self._rows):
            return not ask
        row_bytes = self._n_embd * _F32_BYTES
        n_bytes = self._n_bytes(tensor)
        if not ask and n_bytes >= row_bytes and n_bytes % row_bytes == 0:
            # Of the last layer llama.cpp computes only the rows whose logits are wanted: here, the last one.
            self._get(tensor, self._rows[layer - 1].ctypes.data, n_bytes - row_bytes, row_bytes)
            self._seen.add(layer)
        return True
