"""What the memory is compared with in `familiar bench memory`: a list in a JSON file, and mem0 where it is installed.

Both get the very turns and embeddings that ours gets, are filled as quickly as they can be, and are then asked to do
what a conversation does: take one turn, and find five old ones. Meant for processes of their own. The JSON store is
what many a first version of a companion does: all memories in one list, written anew with each turn, compared one by
one.

mem0 (https://pypi.org/project/mem0ai) runs without a network and without a model when it is told not to infer anything
and given the embeddings; it keeps them in its default store, Qdrant's local mode.
"""

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from operator import mul
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tools.bench_memory_store import LIMIT
from tools.bench_memory_talk import N_DIMENSIONS, PAIRS, QUERY_KINDS, Said, Talk

JSON_STORE = "JSON file"
INSTALL_MEM0 = "mem0 is not compared with, since it is not installed: pip install mem0ai"

ENOUGH_S = 20.0
"""After so many seconds a measurement of one kind ends, with at least one value."""

_FILLED_AT_ONCE = 500
_Given = TypeVar("_Given")
_NEW_TURNS = 50
"""Turns and questions beyond those that fill the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalRun:
    """Another store with `n_turns` turns: seconds to take one more and to find five, and the bytes of its files."""

    name: str
    n_turns: int
    commit_s: tuple[float, ...]
    recall_s: tuple[float, ...]
    file_bytes: int


def mem0_name() -> str | None:
    """mem0 with its version, or None if it is not installed."""
    return f"mem0 {version('mem0ai')}" if find_spec("mem0") is not None else None


def measure_json(folder: Path, n_turns: int, seed: int) -> RivalRun:
    """The JSON store."""
    said, questions = _talk(n_turns, seed)
    path = folder / "memory.json"
    memories = [_as_memory(each) for each in said[:n_turns]]

    def commit(each: Said) -> None:
        memories.append(_as_memory(each))
        path.write_text(json.dumps(memories), encoding="utf-8")

    def recall(question: tuple[str, list[float]]) -> None:
        scored = [(_cosine(question[1], memory["embedding"]), number) for number, memory in enumerate(memories)]
        sorted(scored, reverse=True)[:LIMIT]

    commit_s = _timed(commit, said[n_turns:])
    return RivalRun(
        name=JSON_STORE,
        n_turns=n_turns,
        commit_s=commit_s,
        recall_s=_timed(recall, questions),
        file_bytes=path.stat().st_size,
    )


def measure_mem0(folder: Path, n_turns: int, seed: int) -> RivalRun:
    """mem0, both sides of a turn a memory of their own, as ours keeps them."""
    # Read when it is imported: where its own files go, and that it is to tell nobody of its use.
    os.environ |= {"MEM0_DIR": str(folder), "MEM0_TELEMETRY": "False", "OPENAI_API_KEY": "not used"}
    said, questions = _talk(n_turns, seed)
    known = _Known()
    memory = import_module("mem0").Memory.from_config(
        {
            "vector_store": {
                "provider": "qdrant",
                "config": {"path": str(folder / "qdrant"), "embedding_model_dims": N_DIMENSIONS, "on_disk": True},
            },
            "history_db_path": str(folder / "history.db"),
        }
    )
    memory.embedding_model = known
    person, character = PAIRS[0]
    _fill_mem0(memory, said[:n_turns])

    def commit(each: Said) -> None:
        sides = ((each.user_text, "user"), (each.reply_text, "assistant"))
        known.vectors = {text: _floats(each.embeddings[side]) for side, (text, _) in enumerate(sides)}
        messages = [{"role": role, "content": text} for text, role in sides]
        memory.add(messages, user_id=person, agent_id=character, infer=False)

    def recall(question: tuple[str, list[float]]) -> None:
        known.vectors = {question[0]: question[1]}
        memory.search(question[0], filters={"user_id": person, "agent_id": character}, top_k=LIMIT)

    commit_s, recall_s = _timed(commit, said[n_turns:]), _timed(recall, questions)
    memory.vector_store.client.close()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return RivalRun(name=mem0_name() or "mem0", n_turns=n_turns, commit_s=commit_s, recall_s=recall_s, file_bytes=size)


class _Known:
    """An embedder in mem0's sense that has been told the embeddings of the texts it is asked about."""

    def __init__(self) -> None:
        self.vectors: dict[str, list[float]] = {}

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """The embedding of a text of `vectors`; mem0 also asks for other spellings of it."""
        del memory_action
        return self.vectors.get(text) or next(iter(self.vectors.values()))

    def embed_batch(self, texts: Sequence[str], memory_action: str | None = None) -> list[list[float]]:
        """The embeddings of several."""
        return [self.embed(text, memory_action) for text in texts]


def _fill_mem0(memory: Any, said: Sequence[Said]) -> None:
    """Straight into its vector store: by `add`, 10,000 turns take several minutes."""
    person, character = PAIRS[0]
    sides = [
        (text, each.embeddings[side]) for each in said for side, text in enumerate((each.user_text, each.reply_text))
    ]
    for start in range(0, len(sides), _FILLED_AT_ONCE):
        some = sides[start : start + _FILLED_AT_ONCE]
        moment = datetime.now(UTC).isoformat()
        memory.vector_store.insert(
            vectors=[_floats(embedding) for _, embedding in some],
            payloads=[
                {"data": text, "user_id": person, "agent_id": character, "created_at": moment, "text_lemmatized": text}
                for text, _ in some
            ],
            ids=[start + number for number in range(len(some))],
        )


def _talk(n_turns: int, seed: int) -> tuple[list[Said], list[tuple[str, list[float]]]]:
    """The turns that fill a store and some more, and some questions with their embeddings."""
    talk = Talk(seed)
    said = list(talk.turns(n_turns + _NEW_TURNS))
    questions = []
    for number in range(_NEW_TURNS):
        query = talk.query(QUERY_KINDS[number % len(QUERY_KINDS)], at_s=said[-1].said_at, limit=LIMIT)
        assert query.embedding is not None
        questions.append((query.text, _floats(query.embedding)))
    return said, questions


def _as_memory(said: Said) -> dict[str, Any]:
    return {
        "user": said.user_text,
        "reply": said.reply_text,
        "said_at": said.said_at,
        "embedding": _floats(said.embeddings[0]),
    }


def _floats(embedding: bytes) -> list[float]:
    """The unit vector as programs keep it that do not pack it."""
    vector = np.frombuffer(embedding, np.int8).astype(np.float64)
    return [round(float(each), 6) for each in vector / np.linalg.norm(vector)]


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return float(sum(map(mul, one, other))) / math.sqrt(sum(map(mul, one, one)) * sum(map(mul, other, other)))


def _timed(work: Callable[[_Given], None], given: Sequence[_Given]) -> tuple[float, ...]:
    durations_s: list[float] = []
    for each in given:
        started_s = time.perf_counter()
        work(each)
        durations_s.append(time.perf_counter() - started_s)
        if sum(durations_s) > ENOUGH_S:
            break
    return tuple(durations_s)
