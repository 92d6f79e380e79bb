"""The vocabulary of `models`: frozen messages between the conversation, the prompt and the engine."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of the conversation. `tokens`, where known, are the tokens the model itself produced for `text`:
    they stand in the KV cache and are never tokenized again."""

    role: Role
    text: str
    tokens: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt in tokens, ready for the engine, and how many of the oldest messages had to leave to make it fit.

    `messages` are the same prompt as text, for an engine that has a tokenizer and a chat template of its own: first the
    system message, then user and assistant in turn, the newest words last. Empty where no reply is to follow.
    """

    tokens: tuple[int, ...]
    n_messages_dropped: int = 0
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefilled:
    """The prompt is in the KV cache: `n_reused` of its tokens stood there already (`n_shifted` of them after a move),
    `n_prefilled` were computed."""

    n_reused: int
    n_shifted: int
    n_prefilled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of the reply: at least one character, whole characters only, exactly the text of its `tokens`. These are
    empty in two cases: text that was cut inside a token (a stop string begins there, say), and words that no model here
    made (a greeting, the reply of a server), which are tokenized when a prompt needs them."""

    text: str
    tokens: tuple[int, ...]


FinishReason = Literal["end_of_turn", "stop_string", "max_tokens", "max_words", "aborted", "context_full", "broken_off"]
"""Why a reply ended. "broken_off": a server was lost in the middle of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The end of a reply and why."""

    reason: FinishReason
