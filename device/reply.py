"""One reply in the making: words prepared, tokens streamed, clauses spoken, and in the end what was really heard.

Ties the dialogue to the mouth and the body for a single turn and writes that turn's part of the trace. It is run as one
task; cancelling it is how an interruption ends it. What was heard until then is recorded by `close`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from device.dialogue import Dialogue, Prepared, ReplyEvent
from device.display import CharacterSays, Display, StateChanged
from device.draft import Draft
from device.guarded import GuardedPiece
from device.trace import EventName, Trace, Value
from firmware_bridge.body import Body
from firmware_bridge.gestures import expression_for
from models.messages import Finished, Piece, Prefilled
from voice.borders import ends_sentence
from voice.clauses import ClauseSplitter
from voice.messages import Clause, GestureDue, MouthEvent, SpeechHeard, SpeechPart, SpeechQueued
from voice.mouth import Mouth

PARTS_AHEAD = 256
"""Clauses and gestures that may wait for the mouth: many minutes of speech. When full, thinking waits for speaking."""


class Reply:
    """The reply to one turn. Run `answer` or `say` in a task, then `close` it, whatever happened in between."""

    def __init__(
        self,
        *,
        turn_id: int,
        revision: int,
        user_text: str,
        dialogue: Dialogue,
        mouth: Mouth,
        body: Body,
        trace: Trace,
        display: Display,
    ) -> None:
        self.turn_id = turn_id
        self.revision = revision
        self.user_text = user_text
        self._dialogue = dialogue
        self._mouth = mouth
        self._body = body
        self._trace = trace
        self._display = display
        self._asked_s = time.monotonic()
        self._prepared: Prepared | None = None
        self._pieces: list[Piece] = []
        self._text = ""
        self._begun = False
        self._stopped_s: float | None = None
        self._heard_end: int | None = None
        self._clause_seen = False
        self._handed_over_end = 0
        self._recording: asyncio.Task[None] | None = None
        self._carried_out = False
        """What the words wished has been done, or is being done."""
        self.audible = False
        """Sound of it was handed to the loudspeaker."""
        self.complete = False
        """The reply was spoken, and heard, to its end."""

    async def answer(self, draft: Draft) -> None:
        """Speak what the model writes until the last sample has been heard."""
        self._prepared = prepared = draft.prepared
        self.user_text = prepared.text  # as it stands in the cache
        self._carried_out = not prepared.remembers  # from here on it is, also if this is cancelled
        instead = await self._dialogue.take(prepared)
        self._event(
            "recall_done",
            t_s=max(prepared.recalled_at_s, self._asked_s),  # done in the silence, nobody waited for it
            n_recalled=len(prepared.looked_up.items),
            recall_s=round(prepared.recall_s, 6),
        )
        if instead is not None:
            draft.drop()
        await self._speak(draft.read() if instead is None else _given(instead.text))

    async def say(self, text: str) -> None:
        """Speak a given text, such as a greeting, in place of an answer."""
        await self._speak(_given(text))

    def silence(self) -> None:
        """Stop speaking, now. What was heard until here is what counts."""
        if self.complete or self._heard_end is not None:
            return
        self._heard_end = 0
        if self._begun:  # else the mouth still tells of the reply before
            self._heard_end = self._mouth.stop()
            self._stopped_s = time.monotonic()

    async def close(self) -> bool:
        """Make the turn history, as far as it was heard, falling silent first if still speaking. Idempotent.

        Returns whether the words are answered: something was heard of the reply, or what they wished was done, which is
        not to be done again. If not, nothing is recorded: the words still wait for a reply.
        """
        self.silence()
        await self._tell_silence()
        heard_end = len(self._text) if self._heard_end is None else self._heard_end
        heard = self.complete or heard_end > 0
        if heard:
            if self._recording is None:
                self._recording = asyncio.create_task(self._record(heard_end), name=f"record-{self.turn_id}")
            await asyncio.shield(self._recording)  # once, and all of it, however often this is cancelled
        return heard or self._carried_out

    async def _record(self, heard_end: int) -> None:
        interrupted = not self.complete
        reply = await self._dialogue.record(
            self.user_text, self._pieces, heard_end, interrupted=interrupted, remembers=self._remembers
        )
        for piece in self._pieces:
            if isinstance(piece, GuardedPiece):
                self._event("guarded", category=piece.category, stage=piece.stage)
        self._event("reply_done", text_heard=reply, interrupted=interrupted)
        self._display.show(CharacterSays(text=reply, final=True, interrupted=interrupted))

    @property
    def _remembers(self) -> bool:
        """Whether this turn becomes history."""
        return self._prepared is None or self._prepared.remembers

    async def _tell_silence(self) -> None:
        """Tell when the last sound left the speaker, if the reply was stopped after its first."""
        if self._stopped_s is None or not self.audible:
            return
        last_s = await self._mouth.last_heard_s()
        t_s, self._stopped_s = last_s or self._stopped_s, None
        self._event("playback_stopped", t_s=t_s, text_heard=self._text[: self._heard_end])

    async def _speak(self, pieces: AsyncGenerator[ReplyEvent, None]) -> None:
        parts: asyncio.Queue[SpeechPart | None] = asyncio.Queue(maxsize=PARTS_AHEAD)
        self._begun = True
        self._mouth.begin()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._mouth.speak(parts, lambda event: self._on_mouth(event, group)), name="mouth")
            await self._think(pieces, parts)
            # The mouth is busy for seconds now: time to bring the cache up to what will be history.
            await self._settle()
        self.complete = True

    async def _think(self, pieces: AsyncGenerator[ReplyEvent, None], parts: asyncio.Queue[SpeechPart | None]) -> None:
        splitter = ClauseSplitter(language=self._dialogue.language)
        cut_short = False
        async with aclosing(pieces):
            async for piece in pieces:
                if isinstance(piece, Finished):
                    cut_short = piece.reason in ("max_tokens", "context_full", "broken_off", "aborted")
                    break
                if isinstance(piece, Prefilled):
                    self._prompt_is_ready(piece)
                    continue
                if not self._pieces and self._prepared is not None:  # else no model made it
                    self._event("first_token")
                self._pieces.append(piece)
                self._text += piece.text
                await self._hand_over(splitter.push(piece.text), parts)
                self._display.show(CharacterSays(text=self._text, final=False))
        rest = splitter.finish()
        drop_rest = cut_short and self._clause_seen
        if drop_rest and rest and isinstance(rest[-1], Clause) and not ends_sentence(rest[-1].speech):
            rest.pop()  # better no last sentence than half of one
        await self._hand_over(rest, parts)
        if drop_rest:
            self._text = self._text[: self._handed_over_end]  # what is not said counts as never written
        await parts.put(None)

    def _prompt_is_ready(self, prefilled: Prefilled) -> None:
        prepared = self._prepared
        assert prepared is not None, "only a model prefills"
        self._event(
            "prompt_ready",
            t_s=max(prepared.ready_at_s, self._asked_s) if prepared.prefilled else None,
            n_reused=prefilled.n_reused,
            n_prefilled=prefilled.n_prefilled,
            prefill_s=round(prepared.prefill_s, 6),
        )

    async def _hand_over(self, ready: Sequence[SpeechPart], parts: asyncio.Queue[SpeechPart | None]) -> None:
        for part in ready:
            if isinstance(part, Clause) and not self._clause_seen:
                self._clause_seen = True
                self._event("first_clause", n_tokens=sum(len(piece.tokens) for piece in self._pieces))
            self._handed_over_end = part.end if isinstance(part, Clause) else part.at
            await parts.put(part)

    async def _settle(self) -> None:
        started_s = time.monotonic()
        turn = (self.user_text, self._pieces, len(self._text)) if self._remembers else ()
        settled = await self._dialogue.settle(*turn)
        if settled is not None:
            took_s = round(time.monotonic() - started_s, 6)
            self._event("cache_settled", n_prefilled=settled.n_prefilled, n_shifted=settled.n_shifted, took_s=took_s)

    def _on_mouth(self, event: MouthEvent, group: asyncio.TaskGroup) -> None:
        match event:
            case SpeechQueued(t_s=t_s):
                self.audible = True
                self._event("first_audio_queued", t_s=t_s)
                self._display.show(StateChanged(state="speaking"))
            case SpeechHeard(t_s=t_s):
                self._event("first_audio_heard", t_s=t_s)
                if (face := self._dialogue.expression(t_s)) is not None:
                    group.create_task(self._body.express(face), name="express")
            case GestureDue(gesture=gesture, t_s=t_s):
                expression = expression_for(gesture.name, t_s)
                self._event(
                    "gesture", t_s=t_s, words=gesture.name, expression=expression.name.value if expression else None
                )
                if expression is not None:
                    group.create_task(self._body.express(expression), name="express")

    def _event(self, name: EventName, *, t_s: float | None = None, **fields: Value) -> None:
        self._trace.event(name, turn=self.turn_id, revision=self.revision, t_s=t_s, **fields)


async def _given(text: str) -> AsyncGenerator[ReplyEvent, None]:
    yield Piece(text=text, tokens=())
    yield Finished(reason="end_of_turn")
