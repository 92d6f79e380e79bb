"""A conversation through `Llama.create_chat_completion` of llama-cpp-python, had the way its users have it.

The messages of the conversation go in whole with every turn; the library finds the common beginning in its cache by
itself. What it leaves to its users is done here as they do it: memories stand in front of the newest words and are not
kept; the oldest turns are dropped when, by the library's own tokenizer, prompt and reply would not fit any more, and
again when it raises ValueError because they do not. Comparing is left to `tools.llm_conversation`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from models.messages import Message
from models.sampling import Sampling
from tools.decode_meter import DecodeMeter

_MARKS_TOKENS = 8
"""What a user reckons for the template's text around a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryTurn:
    """One turn: tokens decoded before the first of the reply, seconds until its text began, and how many messages had
    to be dropped for it."""

    n_prefilled: int
    first_token_s: float
    n_dropped: int


class LibraryChat:
    """A model opened by the library with its own defaults but for the size of the context and the threads. A context
    manager."""

    def __init__(
        self,
        path: Path,
        head: Sequence[Message],
        meter: DecodeMeter,
        *,
        n_ctx: int,
        n_threads: int,
        sampling: Sampling,
        reply_tokens: int,
    ) -> None:
        """`head` stands before the conversation and is never dropped. `meter` is running."""
        from llama_cpp import Llama

        self._llama: Any = Llama(
            str(path), n_ctx=n_ctx, n_threads=n_threads, n_threads_batch=n_threads, n_gpu_layers=-1, verbose=False
        )
        self._meter = meter
        self._options = {
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "repeat_penalty": sampling.repeat_penalty,
            "seed": sampling.seed,
            "max_tokens": reply_tokens,
        }
        self._head = [(message.role, message.text) for message in head]
        self._history: list[tuple[str, str]] = []
        self._budget = self._llama.n_ctx() - reply_tokens

    def warm_up(self) -> None:
        """Compute the head, as at the start of a companion, when nobody waits for it."""
        if self._head:
            self._answer(self._head, max_tokens=1)

    def ask(self, words: str, memories: str = "") -> LibraryTurn:
        """One turn; words and reply become history."""
        newest = ("user", f"{memories}\n\n{words}" if memories else words)
        n_dropped = self._drop_until_it_fits(newest)
        n_before = self._meter.n_tokens - self._meter.n_alone
        while True:
            try:
                reply, first_token_s = self._answer([*self._head, *self._history, newest])
                break
            except ValueError:  # "Requested tokens exceed context window"
                if not self._history:
                    raise
                del self._history[:2]
                n_dropped += 2
        self._history += [("user", words), ("assistant", reply)]
        n_prefilled = self._meter.n_tokens - self._meter.n_alone - n_before
        return LibraryTurn(n_prefilled=n_prefilled, first_token_s=first_token_s, n_dropped=n_dropped)

    def close(self) -> None:
        """Free the model."""
        self._llama.close()

    def _answer(self, messages: Sequence[tuple[str, str]], **overrides: int) -> tuple[str, float]:
        """The reply and the seconds until its first text; until its end where it had none."""
        asked = [{"role": role, "content": content} for role, content in messages]
        begun_s = time.perf_counter()
        first_token_s = None
        reply = ""
        for chunk in self._llama.create_chat_completion(asked, stream=True, **{**self._options, **overrides}):
            text = chunk["choices"][0]["delta"].get("content")
            if text and first_token_s is None:
                first_token_s = time.perf_counter() - begun_s
            reply += text or ""
        return reply, time.perf_counter() - begun_s if first_token_s is None else first_token_s

    def _drop_until_it_fits(self, newest: tuple[str, str]) -> int:
        n_dropped = 0
        while self._history and self._reckoned([*self._head, *self._history, newest]) > self._budget:
            del self._history[:2]
            n_dropped += 2
        return n_dropped

    def _reckoned(self, messages: Sequence[tuple[str, str]]) -> int:
        texts = (content.encode() for _, content in messages)
        return sum(len(self._llama.tokenize(text, add_bos=False)) + _MARKS_TOKENS for text in texts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
