"""Conversing in writing: lines in, replies out, on a terminal or through a pipe.

The same dialogue as the spoken one, without ears and mouth: what was printed is what was heard. The main thread waits
for input itself, so that Ctrl-C works at the prompt as anywhere else; the event loop runs for the length of a turn.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterator
from contextlib import aclosing
from typing import TextIO

from device.dialogue import Dialogue, Prepared
from device.display import shown
from device.guarded import GuardedPiece
from device.trace import Trace
from models.errors import PromptTooLongError
from models.messages import Finished, Piece, Prefilled


class TextConversation:
    """Reads lines from `source`, writes replies to `sink`; with `as_json`, one object per turn."""

    def __init__(
        self,
        *,
        dialogue: Dialogue,
        character: str,
        trace: Trace,
        as_json: bool = False,
        source: TextIO | None = None,
        sink: TextIO | None = None,
    ) -> None:
        self._dialogue = dialogue
        self._character = character
        self._trace = trace
        self._as_json = as_json
        self._source = source or sys.stdin
        self._sink = sink or sys.stdout
        self._interactive = self._source.isatty() and self._sink.isatty() and not as_json

    def run(self, runner: asyncio.Runner, *, greeting: str = "") -> None:
        """Converse until the input ends. A KeyboardInterrupt passes through once what was printed is recorded."""
        if greeting and self._interactive:
            runner.run(self._greet(greeting))
        for turn_id, line in enumerate(self._lines(), start=1):
            runner.run(self._turn(turn_id, line))

    def _lines(self) -> Iterator[str]:
        if self._interactive:
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401  importing it gives input() line editing and history
        while True:
            try:
                line = input("You: ") if self._interactive else self._source.readline()
            except EOFError:
                self._write("\n")
                return
            if not line and not self._interactive:
                return
            text = line.encode("utf-8", "replace").decode("utf-8", "replace").strip()
            if text:
                yield text

    async def _greet(self, greeting: str) -> None:
        self._write(f"{shown(self._character)}: {shown(greeting)}\n")
        pieces = [Piece(text=greeting, tokens=())]
        heard = await self._dialogue.record("", pieces, len(greeting), interrupted=False)
        self._trace.event("reply_done", turn=0, text_heard=heard, interrupted=False)
        await self._dialogue.settle()

    async def _turn(self, turn_id: int, text: str) -> None:
        """One exchange. However it ends once a reply was prepared, what was said and printed is recorded."""
        self._trace.event("turn_committed", turn=turn_id)
        pieces: list[Piece] = []
        complete = False
        prepared: Prepared | None = None
        try:
            prepared = await self._dialogue.prepare(text)
            instead = await self._dialogue.take(prepared)
            recalled_at_s = prepared.recalled_at_s
            self._trace.event("recall_done", turn=turn_id, t_s=recalled_at_s, n_recalled=len(prepared.looked_up.items))
            self._begin_reply()
            if instead is None:
                await self._print_reply(turn_id, prepared, pieces)
            else:
                self._print_piece(instead.text)
                pieces.append(instead)
            complete = True
        except PromptTooLongError as error:
            self._refuse(turn_id, text, str(error))
        finally:
            if prepared is not None:
                said = sum(len(piece.text) for piece in pieces)
                heard = await self._dialogue.record(
                    prepared.text, pieces, said, interrupted=not complete, remembers=prepared.remembers
                )
                for piece in pieces:
                    if isinstance(piece, GuardedPiece):
                        self._trace.event("guarded", turn=turn_id, category=piece.category, stage=piece.stage)
                self._trace.event("reply_done", turn=turn_id, text_heard=heard, interrupted=not complete)
                self._end_reply(turn_id, text, heard)
        # While the person reads: the next turn then computes only its own words.
        await self._dialogue.settle()
        await self._dialogue.turn_over()

    async def _print_reply(self, turn_id: int, prepared: Prepared, pieces: list[Piece]) -> None:
        """Print the reply as it comes; `pieces` gets what was printed."""
        async with aclosing(self._dialogue.reply(prepared)) as reply:
            async for piece in reply:
                if isinstance(piece, Finished):
                    break
                if isinstance(piece, Prefilled):
                    self._trace.event(
                        "prompt_ready",
                        turn=turn_id,
                        t_s=prepared.ready_at_s,
                        n_reused=piece.n_reused,
                        n_prefilled=piece.n_prefilled,
                    )
                    continue
                if not pieces:
                    self._trace.event("first_token", turn=turn_id)
                self._print_piece(piece.text)
                pieces.append(piece)

    def _begin_reply(self) -> None:
        if not self._as_json:
            self._write(f"{shown(self._character)}: ")

    def _print_piece(self, text: str) -> None:
        if not self._as_json:
            self._write(shown(text))

    def _end_reply(self, turn_id: int, text: str, reply: str) -> None:
        if self._as_json:
            record = {"turn": turn_id, "person": text, "character": reply}
            self._write(json.dumps(record, ensure_ascii=False) + "\n")
        else:
            self._write("\n")

    def _refuse(self, turn_id: int, text: str, reason: str) -> None:
        if self._as_json:
            record = {"turn": turn_id, "person": text, "error": reason}
            self._write(json.dumps(record, ensure_ascii=False) + "\n")
        sys.stderr.write(f"familiar: {reason}\n")

    def _write(self, text: str) -> None:
        self._sink.write(text)
        self._sink.flush()
