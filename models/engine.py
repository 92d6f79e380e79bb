"""The engine: one llama.cpp model and one context, blocking, used from one thread at a time.

A prompt of tokens goes in (`prefill`: only what the KV cache does not hold yet is computed, on a fork of the
conversation), pieces of the reply come out (`generate`), and what was really said becomes the conversation (`settle`).
A reply that is never settled leaves no trace. Prompts are built by `models.prompt`; threads, queues and cancelled tasks
are left to `models.worker`. Only llama.cpp's C API is used, not the `Llama` class, which hides the cache.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Self

from models.errors import PromptTooLongError
from models.fingerprint import LoadedHashes, engine_fingerprint
from models.generation import PROMPT_END_TOKENS, Generation
from models.gguf import GgufHeader
from models.interrupt import StopSignal
from models.kv import Kept, KvCache
from models.loading import EngineSettings, LoadedModel
from models.messages import Finished, Piece, Prefilled
from models.origin import Origin
from models.ram import read_ram
from models.sampling import Sampling
from models.state_file import SavedState, StateKey
from models.steerer import Steerer
from models.steering import Steering
from models.stops import ReplyLimits
from models.template import ChatTemplate
from models.vocabulary import Vocabulary

__all__ = ["EngineSettings", "LlamaEngine", "Snapshot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Tokens of a conversation, and what llama.cpp keeps of them in its KV cache."""

    tokens: tuple[int, ...]
    state: bytearray


class LlamaEngine:
    """A loaded model. A context manager; `close` frees the memory, once, and may be called again."""

    def __init__(self, path: Path, settings: EngineSettings | None = None) -> None:
        """Load the model, blocking. Raises ModelFileError or ModelError as LoadedModel does."""
        settings = settings or EngineSettings()
        self._settings = settings
        self._loaded = LoadedModel(path, settings)
        self.vocabulary = Vocabulary(self._loaded)
        self._generation = Generation(self._loaded, self.vocabulary)
        may_shift = settings.kv_type == "f16" or _rotates_quantized(self._loaded.header)
        self._kv = KvCache(self._loaded, n_batch=self._loaded.n_batch, may_shift=may_shift)
        self._has_logits = False
        self._steerer = Steerer(self._loaded)
        self._steering = Steering()
        self._hashes = LoadedHashes()

    @property
    def header(self) -> GgufHeader:
        """What the model file says of itself."""
        return self._loaded.header

    @property
    def n_ctx(self) -> int:
        """Tokens that fit: prompt and reply together."""
        return self._kv.n_ctx

    @property
    def can_shift(self) -> bool:
        """Whether what follows a removed part is moved; else it is computed anew."""
        return self._kv.can_shift

    @property
    def conversation(self) -> tuple[int, ...]:
        """The tokens of the committed conversation that stand in the KV cache."""
        return self._kv.committed

    @property
    def draft(self) -> tuple[int, ...]:
        """The tokens of the fork: the prompt prefilled last and the reply to it."""
        return self._kv.forked

    def chat_template(self, source: str | None = None, *, thinking: bool = False) -> ChatTemplate:
        """The chat template of the model file, or `source` in its place; `thinking` asks it for thoughts before the
        reply. Raises TemplateError."""
        return ChatTemplate(
            self.header.chat_template if source is None else source,
            bos=self.vocabulary.bos_text,
            eos=self.vocabulary.eos_text,
            model_name=self.header.name,
            thinking=thinking,
        )

    def prefill(
        self, tokens: Sequence[int], stop_signal: StopSignal | None = None, *, aside: int | None = None
    ) -> Prefilled | None:
        """Make the fork hold exactly `tokens`, ready for `generate`, computing only what the KV cache lacks. None when
        `stop_signal` ended it early; what was computed until then stays for the next time. `aside`: it is something
        else than the conversation, which stays as it is, and a reply of so many tokens has to fit beside it too.

        Raises PromptTooLongError when they do not fit into `n_ctx`, ModelError when llama.cpp fails.
        """
        if aside is not None and len(tokens) + aside > self._kv.n_free:
            raise PromptTooLongError(
                f"{len(tokens)} tokens and a reply of {aside} do not fit beside the conversation, which leaves "
                f"{self._kv.n_free}; give the model a larger context"
            )
        if self._has_logits and tuple(tokens) == self._kv.forked:
            return Prefilled(n_reused=len(tokens), n_shifted=0, n_prefilled=0)  # prepared, and nothing came between
        prefilled = self._bring_up(tokens, partial(self._kv.fork, aside=aside is not None), stop_signal)
        self._has_logits = prefilled is not None
        return prefilled

    def settle(self, tokens: Sequence[int], stop_signal: StopSignal | None = None) -> Prefilled | None:
        """Make `tokens` the committed conversation, out of what stands in the cache and in the fork, which is gone
        then. For moments in which nobody waits. Answers and errors are those of `prefill`."""
        return self._bring_up(tokens, self._kv.settle, stop_signal)

    def _bring_up(
        self, tokens: Sequence[int], keep: Callable[[Sequence[int]], Kept], stop_signal: StopSignal | None
    ) -> Prefilled | None:
        if not tokens:
            raise ValueError("an empty prompt cannot be prefilled")
        if len(tokens) > self.n_ctx:
            raise PromptTooLongError(
                f"the prompt has {len(tokens)} tokens, the context holds {self.n_ctx}; "
                "shorten the persona or give it a larger context"
            )
        self._has_logits = False
        signal = stop_signal or StopSignal()
        if signal.is_set():
            return None  # superseded before it began: the newer request finds the cache untrimmed
        self._kv.watch(signal)
        kept = keep(tokens)
        if not self._kv.decode(tokens[kept.n_tokens :]):
            return None
        return Prefilled(n_reused=kept.n_tokens, n_shifted=kept.n_moved, n_prefilled=len(tokens) - kept.n_tokens)

    def generate(
        self, sampling: Sampling, limits: ReplyLimits, *, stop_signal: StopSignal | None = None
    ) -> Iterator[Piece | Finished]:
        """The reply to the prefilled prompt, piece by piece, then one Finished. One reply at a time; after it (or after
        dropping the iterator) comes the next `prefill`.

        A stop string ends the reply and is never part of a piece, nor is anything that the model thinks. Once
        `stop_signal` is set no piece follows. Raises ModelError for a bias on what is no token, GrammarError where no
        token fits the grammar.
        """
        if not self._has_logits:
            raise RuntimeError("generate() follows a prefill() that was not stopped")
        self._has_logits = False
        signal = stop_signal or StopSignal()
        self._kv.watch(signal)
        prompt_end = self.vocabulary.written(self.draft[-PROMPT_END_TOKENS:])
        yield from self._generation.reply(self._kv, prompt_end, sampling, limits, signal)

    # What the conversation is computed with, and keeping it -----------------------------------------------------------

    def steer(self, steering: Steering) -> None:
        """Lay these adapters and control vectors over the model, in place of those before. If that changes anything,
        the conversation in the KV cache is gone: it belonged to another character.

        Raises SteeringError, and then nothing has changed.
        """
        if self._steerer.apply(steering):
            self._kv.forget()
            self._has_logits = False
        self._steering = steering

    def origin(self) -> Origin:
        """What the engine computes with, as it is steered now. `Origin.key` may be asked for on another thread."""
        return Origin(
            model=self._loaded.file,
            steering=self._steering,
            steered_by=self._steerer.files,
            settings=self._settings,
            n_ctx=self.n_ctx,
            build=self._build,
            hashes=self._hashes,
        )

    @cached_property
    def _build(self) -> str:
        return engine_fingerprint(self._loaded.llama)  # from one thread: llama.cpp answers in a buffer of its own

    def state_key(self, label: str, memo: Path | None = None) -> StateKey:
        """What a saved state of this engine, as it is steered now, belongs to: `Origin.key`, blocking as that is."""
        return self.origin().key(label, memo)

    def snapshot(self, n_tokens: int | None = None, *, most_bytes: int | None = None) -> Snapshot | None:
        """The committed conversation, or its first `n_tokens`, as it stands in the KV cache, for `restore`. None where
        there is nothing that could be kept, and where it is larger than `most_bytes` or a quarter of the memory that is
        free. Saving a part costs the fork."""
        n_committed = len(self._kv.committed)
        n_tokens = n_committed if n_tokens is None else min(n_tokens, n_committed)
        room_bytes = read_ram().available_bytes // 4
        most_bytes = room_bytes if most_bytes is None else min(most_bytes, room_bytes)
        state = self._kv.snapshot(n_tokens, most_bytes=most_bytes)
        self._has_logits = self._has_logits and n_tokens == n_committed
        return None if state is None else Snapshot(tokens=self._kv.committed[:n_tokens], state=state)

    def restore(self, saved: SavedState) -> bool:
        """Put a saved conversation into the KV cache, in place of what is there. `saved` must have been read for the
        `state_key` of this engine. False, and an empty cache, where llama.cpp does not take it."""
        self._has_logits = False
        return self._kv.restore(saved.tokens, saved.payload)

    def close(self) -> None:
        """Free the model. Engine and vocabulary raise RuntimeError from then on."""
        self._loaded.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _rotates_quantized(header: GgufHeader) -> bool:
    """Whether llama.cpp can move quantized keys: the pinned one ends the process where a head is no multiple of 64
    wide, and where only a part of each head is rotated (phi3: 96 of 128)."""
    numbers = header.hyperparameters
    width, heads = numbers.get("embedding_length", 0), numbers.get("attention.head_count", 0)
    if isinstance(width, tuple) or isinstance(heads, tuple) or not heads:
        return False
    head_width = numbers.get("attention.key_length", width // heads)
    others = ("rope.dimension_count", "attention.key_length_swa", "rope.dimension_count_swa")  # absent: the same
    if isinstance(head_width, tuple) or any(numbers.get(name, head_width) != head_width for name in others):
        return False
    return head_width > 0 and head_width % 64 == 0
