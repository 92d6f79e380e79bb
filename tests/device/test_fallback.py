"""Who thinks: the server while it is there, else the model here within the same turn; told once for each change."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import pytest

from device import fallback
from device.dialogue import Brain, ReplyEvent
from device.fallback import FallbackBrain, ThinkerChanged
from models.errors import PromptTooLongError, RemoteError
from models.grammar import Grammar
from models.messages import Finished, Message, Piece, Prefilled, Prompt
from models.sampling import Sampling
from models.stops import ReplyLimits

LIMITS = ReplyLimits(max_tokens=80)
END = Finished(reason="end_of_turn")
SERVERS: list[ReplyEvent] = [Piece(text="From afar.", tokens=()), END]
HERE: list[ReplyEvent] = [Prefilled(n_reused=9, n_shifted=0, n_prefilled=1), Piece(text="From here.", tokens=(1,)), END]
GONE = RemoteError("http://a/v1 cannot be reached: Connection refused")

Step = ReplyEvent | RemoteError | asyncio.Event


class ScriptedServer:
    """Gives its replies in order, the last one again and again; `probes` are the outcomes of probing, then success."""

    def __init__(self, *replies: Sequence[Step], probes: Sequence[RemoteError | None] = ()) -> None:
        self._replies = list(replies)
        self._probes = list(probes)
        self.listing = asyncio.Event()
        """Clear it to hold back what probing comes to."""
        self.listing.set()
        self.n_probed = 0
        self.n_asked = 0
        self.n_dropped = 0

    async def probe(self) -> object:
        self.n_probed += 1
        await self.listing.wait()
        await asyncio.sleep(0)
        error = self._probes.pop(0) if self._probes else None
        if error is not None:
            raise error
        return None

    async def stream(self, prompt: Prompt, sampling: Sampling, limits: ReplyLimits) -> AsyncGenerator[ReplyEvent, None]:
        self.n_asked += 1
        try:
            for step in self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, RemoteError):
                    raise step
                else:
                    yield step
        except (asyncio.CancelledError, GeneratorExit):
            self.n_dropped += 1
            raise


class LocalModel:
    """Answers "From here." and keeps what it was asked."""

    def __init__(self) -> None:
        self.prefilled: list[Prompt] = []
        self.settled: list[Prompt] = []
        self.asked: list[Prompt] = []
        self.failure: Exception | None = None

    async def prefill(self, prompt: Prompt) -> Prefilled | None:
        self.prefilled.append(prompt)
        return Prefilled(n_reused=0, n_shifted=0, n_prefilled=len(prompt.tokens))

    async def settle(self, prompt: Prompt) -> Prefilled | None:
        self.settled.append(prompt)
        return None

    async def stream(self, prompt: Prompt, sampling: Sampling, limits: ReplyLimits) -> AsyncGenerator[ReplyEvent, None]:
        self.asked.append(prompt)
        if self.failure is not None:
            raise self.failure
        for event in HERE:
            yield event


class Pauses:
    """The pauses before the server is asked again: noted, and over as soon as `over` is set."""

    def __init__(self) -> None:
        self.waited_s: list[float] = []
        self.over = asyncio.Event()

    async def __call__(self, pause_s: float) -> None:
        self.waited_s.append(pause_s)
        await self.over.wait()
        await asyncio.sleep(0)


class Scene:
    """A server, a local model, and what was told of them."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server, self.local, self.told, self.pauses = server, LocalModel(), list[ThinkerChanged](), Pauses()
        self.brain = FallbackBrain(server, self.local, retry_after_s=1.0, on_change=self.told.append, sleep=self.pauses)

    async def turn(self, prompt: Prompt | None = None) -> list[ReplyEvent]:
        return await replied(self.brain, prompt or new_prompt())

    @property
    def thinkers(self) -> list[str]:
        return [change.thinker for change in self.told]


def new_prompt() -> Prompt:
    return Prompt(tokens=(1, 2), messages=(Message(role="user", text="Hi"),))


async def replied(brain: Brain, prompt: Prompt) -> list[ReplyEvent]:
    async with aclosing(brain.stream(prompt, Sampling(), LIMITS)) as reply:
        return [event async for event in reply]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  what is waited for happens in the task under test
            await asyncio.sleep(0.001)


def test_replies_come_from_the_server_and_the_cache_here_follows() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer(SERVERS))
        async with scene.brain as brain:
            assert await brain.prefill(new_prompt()) is None
            assert await scene.turn() == SERVERS
            settled = new_prompt()
            await brain.settle(settled)
        assert scene.local.settled == [settled]
        assert (scene.local.prefilled, scene.local.asked, scene.told) == ([], [], [])

    asyncio.run(run())


def test_a_server_that_fails_before_its_first_piece_is_replaced_within_the_turn() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer([GONE]))
        async with scene.brain as brain:
            prompt = new_prompt()
            assert await scene.turn(prompt) == HERE
            assert scene.local.asked == [prompt]
            assert await scene.turn() == HERE
            assert await brain.prefill(prompt) == Prefilled(n_reused=0, n_shifted=0, n_prefilled=2)
        assert scene.server.n_asked == 1, "not a second time at a person's cost"
        (change,) = scene.told
        assert change == ThinkerChanged(thinker="local", text=f"{GONE}. The model on this machine answers meanwhile.")

    asyncio.run(run())


def test_a_reply_that_breaks_off_stands_and_the_next_one_comes_from_here() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer([SERVERS[0], GONE]))
        async with scene.brain:
            assert await scene.turn() == [SERVERS[0], Finished(reason="broken_off")]
            assert scene.local.asked == []
            assert await scene.turn() == HERE
        assert scene.thinkers == ["local"]

    asyncio.run(run())


def test_a_server_that_is_away_at_the_start_is_told_and_costs_no_turn() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer(SERVERS, probes=[GONE]))
        async with scene.brain:
            await until(lambda: scene.thinkers == ["local"])
            assert await scene.turn() == HERE
        assert scene.server.n_asked == 0

    asyncio.run(run())


@pytest.mark.parametrize(("waits_s", "is_known"), [(60.0, True), (0.0, False)])
def test_the_cache_is_brought_up_to_date_while_the_server_is_asked(
    monkeypatch: pytest.MonkeyPatch, *, waits_s: float, is_known: bool
) -> None:
    monkeypatch.setattr(fallback, "SETTLING_WAITS_S", waits_s)

    async def run() -> None:
        scene = Scene(ScriptedServer(SERVERS))
        scene.server.listing.clear()
        async with scene.brain as brain:
            settling = asyncio.create_task(brain.settle(new_prompt()))
            await until(lambda: bool(scene.local.settled))
            if is_known:
                assert not settling.done(), "it waits a while for the answer"
                scene.server.listing.set()
            await settling
            scene.server.listing.set()
            assert await scene.turn() == SERVERS

    asyncio.run(run())


@pytest.mark.parametrize(("outcome", "expected"), [(None, SERVERS), (GONE, HERE)])
def test_a_turn_that_comes_first_waits_for_the_answer(outcome: RemoteError | None, expected: list[ReplyEvent]) -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer(SERVERS, probes=[outcome]))
        scene.server.listing.clear()
        async with scene.brain as brain:
            prompt = new_prompt()
            preparing = asyncio.create_task(brain.prefill(prompt))
            await until(lambda: scene.server.n_probed == 1)
            preparing.cancel()  # newer words came
            await asyncio.wait((preparing,))
            turn = asyncio.create_task(scene.turn())
            await asyncio.sleep(0)
            assert (scene.server.n_asked, scene.local.asked, scene.local.prefilled) == (0, [], [])
            scene.server.listing.set()
            assert await turn == expected
        assert scene.server.n_probed == 1, "who waits no longer does not end the question"

    asyncio.run(run())


def test_the_server_is_asked_again_later_and_later_and_taken_back_once() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer(SERVERS, probes=[GONE] * 11))
        scene.pauses.over.set()
        async with scene.brain:
            await until(lambda: len(scene.told) > 1)
            assert await scene.turn() == SERVERS
        assert scene.thinkers == ["local", "server"]
        assert scene.pauses.waited_s == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]

    asyncio.run(run())


def test_only_a_reply_makes_the_pauses_short_again() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer([GONE], [GONE], [GONE], SERVERS, [GONE]))
        scene.pauses.over.set()
        async with scene.brain:
            for _ in range(3):
                assert await scene.turn() == HERE
                await until(lambda: len(scene.told) % 2 == 0)  # lost, and back
            assert scene.pauses.waited_s == [1, 2, 4]
            async with aclosing(scene.brain.stream(new_prompt(), Sampling(), LIMITS)) as reply:
                assert await anext(reply) == SERVERS[0]  # and no more: a person interrupts
            assert await scene.turn() == HERE
            await until(lambda: len(scene.told) == 8)
            assert scene.pauses.waited_s == [1, 2, 4, 1]

    asyncio.run(run())


def test_a_prompt_prepared_here_is_answered_here() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer(SERVERS, probes=[GONE]))
        async with scene.brain as brain:
            prompt = new_prompt()
            await brain.prefill(prompt)
            scene.pauses.over.set()
            await until(lambda: scene.thinkers == ["local", "server"])
            assert await scene.turn(prompt) == HERE
            assert await scene.turn() == SERVERS

    asyncio.run(run())


def test_two_replies_that_fail_together_are_one_change() -> None:
    async def run() -> None:
        broken = asyncio.Event()
        scene = Scene(ScriptedServer([broken, GONE]))
        async with scene.brain:
            turns = [asyncio.create_task(scene.turn()) for _ in range(2)]
            await until(lambda: scene.server.n_asked == 2)
            broken.set()
            assert await asyncio.gather(*turns) == [HERE, HERE]
        assert scene.thinkers == ["local"]

    asyncio.run(run())


def test_a_reply_begun_on_speculation_is_dropped_without_a_trace() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer([asyncio.Event()], SERVERS))
        async with scene.brain:
            dropped = asyncio.create_task(scene.turn())
            await until(lambda: scene.server.n_asked == 1)
            dropped.cancel()
            await asyncio.wait((dropped,))
            assert dropped.cancelled()
            assert scene.server.n_dropped == 1
            assert await scene.turn() == SERVERS
        assert (scene.told, scene.local.asked) == ([], [])

    asyncio.run(run())


def test_what_a_grammar_binds_is_given_here() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer(SERVERS))
        sampling = Sampling(grammar=Grammar(text='root ::= "a"'))
        async with scene.brain as brain, aclosing(brain.stream(new_prompt(), sampling, LIMITS)) as reply:
            assert [event async for event in reply] == HERE
        assert scene.server.n_asked == 0

    asyncio.run(run())


@pytest.mark.parametrize("within", ["a pause", "a question"])
def test_no_task_outlives_the_brain(within: str) -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer([GONE]))
        async with scene.brain:
            await scene.turn()
            if within == "a question":
                scene.server.listing.clear()
                scene.pauses.over.set()
                await until(lambda: scene.server.n_probed == 2)
            assert len(asyncio.all_tasks()) == 2
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_leaving_while_the_server_is_asked_ends_the_question() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer(SERVERS))
        scene.server.listing.clear()
        async with scene.brain:
            await until(lambda: scene.server.n_probed == 1)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert scene.told == []

    asyncio.run(run())


def test_what_the_model_here_cannot_do_is_raised() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer([GONE]))
        scene.local.failure = PromptTooLongError("too long")
        async with scene.brain:
            with pytest.raises(PromptTooLongError):
                await scene.turn()

    asyncio.run(run())
