"""Continuing where one was: what the KV cache holds is kept on the disk, so that a start costs no prefill.

Two states are kept for a character: its beginning, which every conversation shares, and the last conversation, with its
messages beside it. What was said is kept only where memory may keep it, and a conversation comes back only if memory
still has every word of it (`Dialogue.restore` decides). A state that cannot be used costs a prefill, and a line in the
log.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from models.engine import Snapshot
from models.errors import ModelError, StateFileError
from models.messages import Message
from models.state_file import SUFFIX, SavedState, StateKey, prune, read_state, write_state

log = logging.getLogger(__name__)

KEPT_BYTES = 256 << 20
"""For all states together: some conversations of 2,048 tokens with a model of 1.5B parameters (28 kB a token)."""

SAVE_EVERY_TURNS = 10
"""While a conversation goes on. A full context of SmolLM2-135M has 47 MB: saved each time, a lively day would write
some ten gigabytes to the card. After a loss of power the turns since then are prefilled again."""

_MEMO = "files.json"


class Keeper(Protocol):
    """The engine whose cache is kept: `models.worker.LlamaWorker` here."""

    async def state_key(self, label: str, memo: Path | None = None) -> StateKey: ...

    async def snapshot(self, n_tokens: int | None = None) -> Snapshot | None: ...

    async def restore(self, saved: SavedState) -> bool: ...


class Continuity:
    """The saved states of one character and one person, in `folder`, which is made when needed."""

    def __init__(self, keeper: Keeper, folder: Path, *, person: str, character: str, keeps_talk: bool) -> None:
        """Without `keeps_talk` nothing that was said is ever written."""
        self._keeper = keeper
        self._folder = folder
        self._talk = "talk\0" + json.dumps([person, character])
        self._keeps_talk = keeps_talk
        self._n_unsaved = 0

    async def read_talk(self) -> SavedState | None:
        """The last conversation as it was saved, if it is there and fits this engine."""
        return await self._read(self._talk) if self._keeps_talk else None

    async def put_back_talk(self, saved: SavedState) -> bool:
        """Continue with what `read_talk` gave."""
        return await self._keeper.restore(saved)

    async def put_back_head(self, head: Sequence[int]) -> bool:
        """Continue with the character's beginning, if these tokens were saved."""
        saved = await self._read(_label_of_head(head))
        return saved is not None and await self._keeper.restore(saved)

    async def forget_talk(self) -> None:
        """The saved conversation is not to come back."""
        try:
            (await self._path(self._talk)).unlink(missing_ok=True)
        except (ModelError, OSError) as error:
            log.warning("a saved conversation could not be removed: %s", error)

    async def keep_head(self, head: Sequence[int]) -> None:
        """Save the character's beginning, which the conversation must begin with, unless it has been saved."""
        try:
            if not await asyncio.to_thread((await self._path(_label_of_head(head))).exists):
                await self._write(_label_of_head(head), await self._keeper.snapshot(len(head)), b"")
        except (ModelError, OSError) as error:
            log.warning("the character's beginning was not saved, the next start computes it anew: %s", error)

    async def turn_over(self, history: Sequence[Message]) -> None:
        """A turn is over: save the conversation if enough of it is new."""
        self._n_unsaved += 1
        if self._n_unsaved >= SAVE_EVERY_TURNS:
            await self.keep_talk(history)

    async def keep_talk(self, history: Sequence[Message]) -> None:
        """Save the conversation, `history` being what of it stands in the prompt."""
        if not self._keeps_talk or not self._n_unsaved:
            return
        self._n_unsaved = 0
        try:
            await self._write(self._talk, await self._keeper.snapshot(), _note(history))
        except (ModelError, OSError) as error:
            log.warning("the conversation was not saved, the next start computes it anew: %s", error)

    async def _path(self, label: str) -> Path:
        key = await self._keeper.state_key(label, self._folder / _MEMO)
        return self._folder / f"{key.digest().hex()[:16]}{SUFFIX}"

    async def _read(self, label: str) -> SavedState | None:
        # Without any state there is none to be found, and the model's file need not be hashed for its key.
        if not await asyncio.to_thread(lambda: any(self._folder.glob(f"*{SUFFIX}"))):
            return None
        try:
            key, path = await self._keeper.state_key(label, self._folder / _MEMO), await self._path(label)
            return await asyncio.to_thread(read_state, path, key)
        except StateFileError as error:
            if error.reason != "absent":
                log.warning("a saved state cannot be used and costs a prefill: %s", error)
        except ModelError as error:
            log.warning("no saved state can be looked for: %s", error)
        return None

    async def _write(self, label: str, snapshot: Snapshot | None, note: bytes) -> None:
        if snapshot is None:
            return
        key, path = await self._keeper.state_key(label, self._folder / _MEMO), await self._path(label)
        await asyncio.to_thread(write_state, path, key, snapshot.tokens, snapshot.state, note)
        await asyncio.to_thread(prune, self._folder, KEPT_BYTES)


def saved_messages(saved: SavedState) -> tuple[Message, ...]:
    """The messages of a saved conversation; none where the note makes no sense."""
    try:
        return tuple(
            Message(role=role, text=text, tokens=tuple(tokens)) for role, text, tokens in json.loads(saved.note)
        )
    except (ValueError, TypeError):
        return ()


def _note(history: Sequence[Message]) -> bytes:
    return json.dumps([[message.role, message.text, message.tokens] for message in history]).encode()


def _label_of_head(head: Sequence[int]) -> str:
    return "head\0" + hashlib.sha256(json.dumps(list(head)).encode()).hexdigest()
