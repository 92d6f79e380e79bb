"""The engine: one llama.cpp model and one context, blocking, used from one thread at a time.

A prompt of tokens goes in (`prefill`: only what the KV cache does not hold yet is computed), pieces of the reply come
out (`generate`). Prompts are built by `models.prompt`; threads, queues and cancelled tasks are left to
`models.worker`. Only llama.cpp's C API is used, not the `Llama` class, which hides the cache.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from models.detok import ReplyText
from models.errors import PromptTooLongError
from models.gguf import GgufHeader
from models.interrupt import StopSignal
from models.kv import KvCache
from models.loading import EngineSettings, LoadedModel
from models.messages import Finished, FinishReason, Piece, Prefilled
from models.sampling import Sampling, sampler_chain
from models.template import ChatTemplate
from models.vocabulary import Vocabulary

__all__ = ["EngineSettings", "LlamaEngine"]


class LlamaEngine:
    """A loaded model. A context manager; `close` frees the memory, once, and may be called again."""

    def __init__(self, path: Path, settings: EngineSettings | None = None) -> None:
        """Load the model, blocking. Raises ModelFileError or ModelError as LoadedModel does."""
        settings = settings or EngineSettings()
        self._loaded = LoadedModel(path, settings)
        self.vocabulary = Vocabulary(self._loaded)
        # llama.cpp (the pinned one) crashes when it rotates quantized keys of heads that are no multiple of 64 wide.
        self._kv = KvCache(self._loaded, n_batch=self._loaded.n_batch, may_shift=settings.kv_type == "f16")
        self._has_logits = False

    @property
    def header(self) -> GgufHeader:
        """What the model file says of itself."""
        return self._loaded.header

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
        if not tokens:
            raise ValueError("an empty prompt cannot be prefilled")
        if len(tokens) > self.n_ctx:
            raise PromptTooLongError(
                f"the prompt has {len(tokens)} tokens, the context holds {self.n_ctx}; "
                "shorten the persona or give it a larger context"
            )
        if self._has_logits and tuple(tokens) == self._kv.tokens:
            return Prefilled(n_reused=len(tokens), n_shifted=0, n_prefilled=0)  # prepared, and nothing came between
        self._has_logits = False
        signal = stop_signal or StopSignal()
        if signal.is_set():
            return None  # superseded before it began: the newer request finds the cache untrimmed
        self._kv.watch(signal)
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
        if not self._has_logits:
            raise RuntimeError("generate() follows a prefill() that was not stopped")
        signal = stop_signal or StopSignal()
        self._kv.watch(signal)
        self._has_logits = False
        lib = self._loaded.lib
        text = ReplyText(stop)
        reason: FinishReason = "max_tokens"
        with sampler_chain(lib, sampling, n_vocab=self.vocabulary.n_tokens) as chain:
            for _ in range(max_tokens):
                token = lib.llama_sampler_sample(chain, self._loaded.context, -1)
                if self.vocabulary.ends_turn(token):
                    reason = "end_of_turn"
                    break
                piece = text.push(token, self.vocabulary.token_bytes(token))
                if piece is not None and not signal.is_set():
                    yield piece
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
        """Free the model. Engine and vocabulary raise RuntimeError from then on."""
        self._loaded.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
