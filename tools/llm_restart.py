"""A restart in the middle of a conversation: the first token from a warm cache, from a saved one and from none.

Two engines hold the same model: one has the conversation in its cache and saves it, the other begins with nothing each
time, and computes the conversation or reads it from the file. The same words are asked everywhere. Loading the model is
the same for all and is left out.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from device.errors import FamiliarError
from models.engine import LlamaEngine
from models.messages import Message
from models.state_file import SUFFIX, StateKey, read_state, write_state
from tools.llm_script import line
from tools.llm_session import REPLY_TOKENS, BenchModel, LlmSession

CONTEXT_TOKENS = 2048
SAVED_TOKENS = 1500
_COLD_REPEATS = 2
"""Each computes the whole conversation: ten seconds with the starter model on one thread."""

_WORDS = "Do you remember what I told you?"
_MOST_TURNS = 200
_SPARE_TOKENS = 160
"""For the newest words and the reply, in a context that is too small for `SAVED_TOKENS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartRun:
    """Seconds to the first token, repeat by repeat, and what came before it after a restart: `read_s` for reading and
    checking the file, `restore_s` for handing it to llama.cpp."""

    n_tokens: int
    file_bytes: int
    save_s: float
    warm_s: tuple[float, ...]
    restored_s: tuple[float, ...]
    read_s: tuple[float, ...]
    restore_s: tuple[float, ...]
    cold_s: tuple[float, ...]


def run_restart(model: BenchModel, *, repeats: int, say: Callable[[str], None]) -> RestartRun:
    """Measure it all, warm and restored in turn. Raises FamiliarError when the saved conversation is not taken back."""
    say("restart: a conversation is computed, saved, and asked after a restart ...")
    settings = replace(model.settings, n_ctx=CONTEXT_TOKENS)
    with (
        tempfile.TemporaryDirectory(prefix="familiar-restart-") as folder,
        LlamaEngine(model.path, settings) as living,
        LlamaEngine(model.path, settings) as started,
    ):
        warm = LlmSession(living, model.builder(living), model.sampling)
        _talk_long(warm, min(SAVED_TOKENS, living.n_ctx - REPLY_TOKENS - _SPARE_TOKENS))
        path, key = Path(folder) / f"conversation{SUFFIX}", living.state_key("bench")
        begun_s = time.perf_counter()
        _save(living, path, key)
        save_s = time.perf_counter() - begun_s
        prompt = warm.prompt(_WORDS).tokens
        fresh = LlmSession(started, model.builder(started), model.sampling)
        cold_s = tuple(_cold_s(fresh, prompt) for _ in range(min(repeats, _COLD_REPEATS)))
        warm_s, restored = [], []
        for _ in range(repeats):
            warm_s.append(warm.reply(prompt, n_most=1).first_token_s)
            warm.settle()
            restored.append(_restored(fresh, prompt, path, key))
        return RestartRun(
            n_tokens=len(living.conversation),
            file_bytes=path.stat().st_size,
            save_s=save_s,
            warm_s=tuple(warm_s),
            restored_s=tuple(first_token_s for _, _, first_token_s in restored),
            read_s=tuple(read_s for read_s, _, _ in restored),
            restore_s=tuple(restore_s for _, restore_s, _ in restored),
            cold_s=cold_s,
        )


def _talk_long(session: LlmSession, n_tokens: int) -> None:
    """A conversation of so many tokens, but for a turn, written and not generated."""
    for turn in range(_MOST_TURNS):
        said = (Message(role="user", text=line(turn)), Message(role="assistant", text=line(turn + 7)))
        before = len(session.engine.conversation)
        session.history += said
        session.settle()
        n_turn = len(session.engine.conversation) - before
        if len(session.engine.conversation) + n_turn > n_tokens:
            return


def _save(engine: LlamaEngine, path: Path, key: StateKey) -> None:
    snapshot = engine.snapshot()
    if snapshot is None:
        raise FamiliarError("this model's conversations cannot be saved; run the other parts with --only")
    write_state(path, key, snapshot.tokens, memoryview(snapshot.state))


def _cold_s(session: LlmSession, prompt: tuple[int, ...]) -> float:
    session.engine.settle(prompt[:1])
    return session.reply(prompt, n_most=1).first_token_s


def _restored(session: LlmSession, prompt: tuple[int, ...], path: Path, key: StateKey) -> tuple[float, float, float]:
    """Seconds for reading, for restoring, and from the words to the first token."""
    session.engine.settle(prompt[:1])
    begun_s = time.perf_counter()
    saved = read_state(path, key)
    read_s = time.perf_counter() - begun_s
    if not session.engine.restore(saved):
        raise FamiliarError(f"llama.cpp does not take back the conversation it gave ({len(saved.tokens)} tokens)")
    restore_s = time.perf_counter() - begun_s - read_s
    return read_s, restore_s, session.reply(prompt, n_most=1).first_token_s
