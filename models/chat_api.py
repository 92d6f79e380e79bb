"""The chat API that servers share: a prompt -> the body of a request, events of the answer -> what to speak. Pure.

OpenAI's `/chat/completions` and `/models`, with what llama-server and vLLM add to them. Events come from `models.sse`;
the connection, and how long to wait for it, are left to `models.remote`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from models.detok import ReplyText
from models.errors import RemoteError
from models.messages import Finished, FinishReason, Piece, Prefilled, Prompt
from models.sampling import Sampling
from models.sse import ServerSentEvent
from models.stops import ReplyLimits

ReplyEvent = Prefilled | Piece | Finished

Dialect = Literal["llama-server", "vllm", "other"]
"""Which server it is, for what it takes beyond OpenAI's API. "other" gets nothing beyond: some refuse what they do not
know."""

_DIALECTS: dict[str, Dialect] = {"llamacpp": "llama-server", "vllm": "vllm"}
"""By what the list of models gives as `owned_by`: both servers put their own name there."""

_TOKEN_UNKNOWN = -1

_ERROR_NAME = re.compile(r"[A-Za-z_]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerModels:
    """What a server says of itself: its dialect, and the names of its models, the first one first."""

    dialect: Dialect
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What one event says: words to speak (or none), what the server had to prefill, and whether the reply ended."""

    text: str = ""
    prefilled: Prefilled | None = None
    finish: FinishReason | None = None


def read_models(body: bytes) -> ServerModels:
    """The answer to `GET /models`. Raises RemoteError for what is not one."""
    listed = _parsed(body, "a list of models").get("data")
    if not isinstance(listed, list):
        raise RemoteError("sent something else than a list of models; the address of most servers ends in /v1")
    models = [model for model in listed if isinstance(model, dict)]
    given = [name for model in models for name in (model.get("id"), *_items(model.get("aliases")))]
    names = [name for name in given if isinstance(name, str) and name.isprintable()]
    owner = models[0].get("owned_by") if models else None
    dialect = _DIALECTS.get(owner, "other") if isinstance(owner, str) else "other"
    return ServerModels(dialect=dialect, names=tuple(names))


def request_body(
    prompt: Prompt, sampling: Sampling, limits: ReplyLimits, *, model: str, dialect: Dialect
) -> dict[str, object]:
    """The body of `POST /chat/completions`, streaming.

    Stop strings are not in it: servers apply them to what a model thinks, too, which is full of line ends. Nor are the
    penalties and DRY: servers count the prompt in, and so penalise the mark that ends a turn. Nor are biases: they are
    on tokens of the model here. A grammar is a ValueError.
    """
    if sampling.grammar is not None:
        raise ValueError("a server cannot be held to a grammar")
    body: dict[str, object] = {
        **least_body(prompt, model=model),
        "max_tokens": limits.max_tokens + limits.thinking_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if dialect == "other":
        return body
    body |= {
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "chat_template_kwargs": {"enable_thinking": limits.thinking_tokens > 0},
    }
    if dialect == "llama-server":
        # With the timings in every event the first one tells what was prefilled.
        body |= {"cache_prompt": True, "timings_per_token": True}
        body |= {"typical_p": sampling.typical_p, "top_n_sigma": sampling.top_n_sigma}
        body |= {"xtc_probability": sampling.xtc_probability, "xtc_threshold": sampling.xtc_threshold}
    return body


def least_body(prompt: Prompt, *, model: str) -> dict[str, object]:
    """A body with nothing in it that any server refuses. OpenAI's newer models refuse even `max_tokens`."""
    if not prompt.messages:
        raise ValueError("a server needs the prompt as messages")
    messages = [{"role": message.role, "content": message.text} for message in prompt.messages]
    return {"model": model, "messages": messages, "stream": True}


def read_chunk(event: ServerSentEvent) -> Chunk | None:
    """What an event says; None if that is nothing of interest (thoughts, a role, a keep-alive).

    Raises RemoteError for an error that the server tells, and for what is no chunk of a reply.
    """
    if not event.data.strip():
        return None
    if event.data.strip() == "[DONE]":
        return Chunk(finish="end_of_turn")
    record = _parsed(event.data, "a chunk of a reply")
    if event.event == "error" or record.get("error"):
        raise RemoteError(f"gave the reply up{_named(record)}; its log says why")
    (choice, *_) = _items(record.get("choices")) or [None]
    if not isinstance(choice, dict):
        return None  # the figures at the end have a chunk of their own, without choices
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, dict) else None
    reason = choice.get("finish_reason")
    return Chunk(
        text=text if isinstance(text, str) else "",
        prefilled=_prefilled(record.get("timings")),
        finish=("max_tokens" if reason == "length" else "end_of_turn") if reason else None,
    )


class RemoteReply:
    """One reply, from chunks to pieces: without thoughts, ended by its limits as one made here would be."""

    def __init__(self, limits: ReplyLimits) -> None:
        self._text = ReplyText(limits)
        self._most_chunks = limits.max_tokens + limits.thinking_tokens  # each has at least one token
        self._n_chunks = 0
        self._prefilled: Prefilled | None = None
        self.begun = False
        """A piece of it came out."""
        self.over = False
        """Nothing more belongs to it, whatever else the server sends."""

    def take(self, chunk: Chunk | None) -> Iterator[ReplyEvent]:
        """What a chunk adds. Raises RemoteError if it ends a reply in which nothing was said."""
        if chunk is None or self.over:
            return
        self._prefilled = self._prefilled or chunk.prefilled
        # Many a model begins with empty lines, which would end the reply where a line end is a stop string.
        text = chunk.text if self._n_chunks else chunk.text.lstrip()
        finish = chunk.finish
        if text:
            self._n_chunks += 1
            yield from self._say(self._text.push(_TOKEN_UNKNOWN, text.encode("utf-8", "replace")))
            if self._text.ended is None and self._n_chunks >= self._most_chunks:
                finish = finish or "max_tokens"
        if self._text.ended is None and finish is not None:
            yield from self._say(self._text.finish())
        if self._text.ended is not None or finish is not None:
            self.over = True
            if not self.begun:
                raise RemoteError("ended its reply without a word; if the model thinks, switch that off on the server")
            yield Finished(reason=self._text.ended or finish or "end_of_turn")

    def cut_off(self) -> None:
        """The stream is at its end and the reply is not: raises RemoteError."""
        raise RemoteError(
            "broke off in the middle of a reply" if self.begun else "closed the connection without a word"
        )

    def _say(self, piece: Piece | None) -> Iterator[ReplyEvent]:
        if piece is None:
            return
        if not self.begun and self._prefilled is not None:
            yield self._prefilled
        self.begun = True
        yield Piece(text=piece.text, tokens=())


def refusal(status: int, body: bytes) -> str:
    """What a status other than 200 means, and how to mend it."""
    if 300 <= status < 400:
        return "sends requests on to another address, which is not followed; give the address itself"
    match status:
        case 401 | 403:
            return "refuses the key, or wants one"
        case 404:
            return "does not know the model, or has no API at that address; most addresses end in /v1"
        case 429:
            return "has been asked too much"
        case 503:
            return "is not ready yet, or too busy"
    try:
        named = _named(_parsed(body, "an error"))
    except RemoteError:
        named = ""
    return f"refuses with status {status}{named}; its log says why"


def _named(record: Mapping[str, object]) -> str:
    """The kind of error that a server names, in brackets, or nothing. Never its message: that may quote what was
    said."""
    error = record.get("error", record)
    kind = error.get("type") if isinstance(error, Mapping) else None
    return f" ({kind})" if isinstance(kind, str) and _ERROR_NAME.fullmatch(kind) else ""


def _prefilled(timings: object) -> Prefilled | None:
    """What llama-server tells of the prompt; None where it, or another server, tells nothing."""
    if not isinstance(timings, dict):
        return None
    n_reused, n_prefilled = timings.get("cache_n"), timings.get("prompt_n")
    if not isinstance(n_reused, int) or not isinstance(n_prefilled, int):
        return None
    return Prefilled(n_reused=n_reused, n_shifted=0, n_prefilled=n_prefilled)


def _parsed(text: str | bytes, what: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        raise RemoteError(f"sent something else than {what}") from None  # the error itself holds the text
    if not isinstance(record, dict):
        raise RemoteError(f"sent something else than {what}")
    return record


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []
