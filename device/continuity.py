"""Continuing where one was: what the KV cache holds is kept on the disk, so that a start costs no prefill.

Two states are kept for a character: its beginning, which every conversation shares, and the last conversation with this
person, with its messages beside it. What was said is kept only where memory may keep it, and a conversation comes back
only if memory still has every word of it (`Dialogue.restore` decides). A state that cannot be used costs a prefill, and
a line in the log.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from models.engine import Snapshot
from models.errors import ModelError, StateFileError
from models.messages import Message
from models.origin import Origin
from models.state_file import SUFFIX, SavedState, StateKey, prune, read_state, write_state

log = logging.getLogger(__name__)

KEPT_BYTES = 1 << 30
"""For all states together; the oldest leave."""

MOST_BYTES = KEPT_BYTES // 2
"""For one state: 2,048 tokens of the widest cache in the catalogue take 0.4 GB."""

SAVE_EVERY_TURNS = 10
"""While a conversation goes on. A full context of SmolLM2-135M has 47 MB: saved each time, a lively day would write
some ten gigabytes to the card. After a loss of power the turns since then are prefilled again."""

_MEMO = "files.json"


class Keeper(Protocol):
    """The engine whose cache is kept: `models.worker.LlamaWorker` here."""

    async def origin(self) -> Origin: ...

    async def snapshot(self, n_tokens: int | None = None, *, most_bytes: int | None = None) -> Snapshot | None: ...

    async def restore(self, saved: SavedState) -> bool: ...


class Continuity:
    """The saved states of one character and one person, in `folder`, which is made when needed. An async context
    manager that owns the thread which writes them: a slow card keeps nobody waiting."""

    def __init__(self, keeper: Keeper, folder: Path, *, person: str, character: str, keeps_talk: bool) -> None:
        """Without `keeps_talk` nothing that was said is ever written, and what was is removed."""
        self._keeper = keeper
        self._folder = folder
        self._keeps_talk = keeps_talk
        self._label = _label_of_talk(person, character)
        self._talk = talk_file(folder, person, character)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="states")
        self._writing: Future[None] | None = None
        self._n_taken = 0
        """Turns that stood in the last snapshot for a file."""
        self._n_saved = 0

    async def __aenter__(self) -> Self:
        if not self._keeps_talk:
            await self.forget_talk()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=False)

    async def read_talk(self) -> SavedState | None:
        """The last conversation as it was saved, if it is there and fits this engine. If not, it is removed."""
        if not self._keeps_talk or not await asyncio.to_thread(self._talk.exists):
            return None
        saved = await self._read(self._label, lambda _key: self._talk)
        if saved is None:
            await self.forget_talk()
        return saved

    async def put_back_talk(self, saved: SavedState) -> bool:
        """Continue with what `read_talk` gave."""
        return await self._restore(saved)

    async def put_back_head(self, head: Sequence[int]) -> bool:
        """Continue with the character's beginning, if these tokens were saved."""
        # Without any state there is none to be found, and the model's file need not be hashed for its key.
        if not await asyncio.to_thread(lambda: any(self._folder.glob(f"head-*{SUFFIX}"))):
            return False
        saved = await self._read(_label_of_head(head), self._head_path)
        return saved is not None and await self._restore(saved)

    async def forget_talk(self) -> None:
        """The saved conversation is not to come back. What is being written is waited for, or it would."""
        await self._written()
        self._n_saved = 0  # the end saves what is left of it, even if no turn comes after
        try:
            await asyncio.to_thread(_remove, self._talk)
        except OSError as error:
            log.warning("a saved conversation could not be removed: %s", error)

    async def keep_head(self, head: Sequence[int]) -> None:
        """Save the character's beginning, which the conversation must begin with."""
        snapshot = await self._keeper.snapshot(len(head), most_bytes=MOST_BYTES)
        if snapshot is not None:
            origin = await self._keeper.origin()
            self._writing = self._thread.submit(self._write_head, origin, _label_of_head(head), snapshot)

    def is_due(self, n_recorded: int) -> bool:
        """Whether so much of the conversation is new that it is to be saved. `n_recorded` counts its turns since the
        start."""
        return self._keeps_talk and n_recorded - self._n_taken >= SAVE_EVERY_TURNS

    async def turn_over(self, history: Sequence[Message], n_recorded: int) -> None:
        """A turn is over, and the cache settled to `history`: save the conversation if that is due."""
        if self.is_due(n_recorded):
            await self._save(history, n_recorded)

    async def keep_talk(self, history: Sequence[Message], n_recorded: int) -> None:
        """Save the conversation, if that has not been done, `history` being what of it stands in the prompt, to which
        the cache is settled. Returns when it is on the disk."""
        await self._written()
        if self._keeps_talk and n_recorded > self._n_saved:
            await self._save(history, n_recorded)
            await self._written()

    async def _save(self, history: Sequence[Message], n_recorded: int) -> None:
        snapshot = await self._keeper.snapshot(most_bytes=MOST_BYTES)
        if snapshot is None:
            log.debug("the conversation cannot be kept now")
            return
        origin = await self._keeper.origin()
        self._n_taken = n_recorded
        self._writing = self._thread.submit(self._write_talk, origin, snapshot, _note(history), n_recorded)

    # On the thread that writes: the key of a state hashes the model's file, where that was never done before.

    def _write_head(self, origin: Origin, label: str, snapshot: Snapshot) -> None:
        try:
            key = origin.key(label, self._folder / _MEMO)
            write_state(self._head_path(key), key, snapshot.tokens, snapshot.state)
            prune(self._folder, KEPT_BYTES)
        except (ModelError, OSError) as error:
            log.warning("the character's beginning was not saved, the next start computes it anew: %s", error)

    def _write_talk(self, origin: Origin, snapshot: Snapshot, note: bytes, n_recorded: int) -> None:
        try:
            key = origin.key(self._label, self._folder / _MEMO)
            write_state(self._talk, key, snapshot.tokens, snapshot.state, note)
            prune(self._folder, KEPT_BYTES)
        except (ModelError, OSError) as error:
            log.warning("the conversation was not saved, the next start computes it anew: %s", error)
        else:
            self._n_saved = max(self._n_saved, n_recorded)

    async def _restore(self, saved: SavedState) -> bool:
        taken = await self._keeper.restore(saved)
        if not taken:
            log.warning(
                "llama.cpp does not take back a saved state of %d tokens, which costs a prefill", len(saved.tokens)
            )
        return taken

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.wrap_future(self._writing)

    def _head_path(self, key: StateKey) -> Path:
        return self._folder / f"head-{key.digest().hex()[:16]}{SUFFIX}"

    async def _read(self, label: str, path_for: Callable[[StateKey], Path]) -> SavedState | None:
        try:
            origin = await self._keeper.origin()
            key = await asyncio.to_thread(origin.key, label, self._folder / _MEMO)
            return await asyncio.to_thread(read_state, path_for(key), key)
        except StateFileError as error:
            if error.reason != "absent":
                log.warning("a saved state cannot be used and costs a prefill: %s", error)
        except ModelError as error:
            log.warning("no saved state can be looked for: %s", error)
        return None


def talk_file(folder: Path, person: str, character: str) -> Path:
    """Where the last conversation of these two is saved, if it is. One file, whatever engine it was made with: words
    must not lie about in files that nobody looks for any more."""
    return folder / f"talk-{_short_hash(_label_of_talk(person, character))}{SUFFIX}"


def _remove(path: Path) -> None:
    """The file, and what a write that was broken off left beside it."""
    for file in (path, *path.parent.glob(f"{path.name}.*")):
        file.unlink(missing_ok=True)


def saved_messages(saved: SavedState) -> tuple[Message, ...]:
    """The messages of a saved conversation; none where the note makes no sense."""
    try:
        messages = json.loads(saved.note)
        return tuple(Message(role=role, text=text, tokens=tuple(tokens)) for role, text, tokens in messages)
    except (ValueError, TypeError):
        return ()


def _note(history: Sequence[Message]) -> bytes:
    return json.dumps([[message.role, message.text, message.tokens] for message in history]).encode()


def _label_of_talk(person: str, character: str) -> str:
    return "talk\0" + json.dumps([person, character])


def _label_of_head(head: Sequence[int]) -> str:
    return "head\0" + hashlib.sha256(json.dumps(list(head)).encode()).hexdigest()


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
