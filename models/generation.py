"""The loop of a reply: choose a token, decode it, say what is certain, stop in time.

The prompt stands in the KV cache with its logits ready (`models.engine`); pieces come out. Tokens are chosen in
`models.choosing`, turned into text in `models.detok`. Here tokens are counted, and a thought that the model may not
have, or has had enough of, is closed for it.
"""

from collections.abc import Generator, Iterator
from typing import Protocol

from models.choosing import TokenChooser
from models.detok import ReplyText
from models.interrupt import StopSignal
from models.loading import LoadedModel
from models.messages import Finished, FinishReason, Piece
from models.sampling import Sampling
from models.stops import ReplyLimits
from models.thinking import CLOSING, ThoughtFilter, open_thought
from models.vocabulary import Vocabulary

PROMPT_END_TOKENS = 12
"""Of a prompt, looked at for a thought that its template opened: a tag has up to six where it is no token itself."""


class Cache(Protocol):
    """What a reply needs of `models.kv.KvCache`."""

    @property
    def is_full(self) -> bool:
        """Whether no further token can be decoded."""
        ...

    def decode_one(self, token: int) -> bool:
        """Append a token; its logits are then ready. False when the stop signal came."""
        ...


class Generation:
    """The replies of one loaded model, one at a time. Keeps the samplers of the last reply for the next one, because
    some of them take milliseconds to make."""

    def __init__(self, loaded: LoadedModel, vocabulary: Vocabulary) -> None:
        self._loaded = loaded
        self._vocabulary = vocabulary
        self._spare: TokenChooser | None = None

    def reply(
        self, cache: Cache, prompt_end: str, sampling: Sampling, limits: ReplyLimits, signal: StopSignal
    ) -> Iterator[Piece | Finished]:
        """The reply to the prompt in the cache, which ends with the text `prompt_end`: pieces, then one Finished. Once
        `signal` is set no piece follows.

        Raises ModelError for a bias on what is no token, GrammarError where no token fits the grammar.
        """
        chooser, self._spare = self._spare, None  # a reply that was dropped half-way keeps its own
        if chooser is None or chooser.sampling != sampling:
            chooser = TokenChooser(self._loaded, self._vocabulary, sampling)
        chooser.begin()
        # With a grammar only a thought that the template opened is one: a tag in the reply would be the grammar's.
        thoughts = ThoughtFilter(open_thought(prompt_end), more=sampling.grammar is None)
        text = ReplyText(limits, thoughts)
        reason = yield from self._pieces(cache, chooser, text, limits, signal)
        rest = None if text.ended else text.finish()
        if signal.is_set():
            reason = "aborted"
        elif rest is not None:
            yield rest
        self._spare = chooser
        yield Finished(reason=reason)

    def _pieces(
        self, cache: Cache, chooser: TokenChooser, text: ReplyText, limits: ReplyLimits, signal: StopSignal
    ) -> Generator[Piece, None, FinishReason]:
        """The pieces but for the last. Returns why the reply ended."""
        n_said = n_thought = 0
        while True:
            if text.thought and n_thought >= limits.thinking_tokens:
                reason = self._close_thought(cache, text)
                if reason is not None:
                    return reason
            if not text.thought and n_said >= limits.max_tokens:
                return "max_tokens"
            token = chooser.next(free=bool(text.thought))
            if self._vocabulary.ends_turn(token):
                if not text.thought:
                    return "end_of_turn"
                n_thought = limits.thinking_tokens  # it forgot to answer
                continue
            n_thought += bool(text.thought)
            n_said += not text.thought
            piece = text.push(token, self._vocabulary.reply_bytes(token))
            if piece is not None and not signal.is_set():
                yield piece
            if text.ended:
                return text.ended
            if cache.is_full:
                return "context_full"
            if not cache.decode_one(token):
                return "aborted"

    def _close_thought(self, cache: Cache, text: ReplyText) -> FinishReason | None:
        """Write the end of the thought in the model's place. The reason if that was not possible."""
        closing = f"\n{CLOSING[text.thought]}\n\n"  # as models write it that learned to
        for token in self._vocabulary.tokenize(closing, parse_special=True, continues=True):
            if cache.is_full:
                return "context_full"
            if not cache.decode_one(token):
                return "aborted"
        text.close_thought()
        return None
