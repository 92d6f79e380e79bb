"""Who thinks: the server while it is there, else the model here within the same turn; told once for each change."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest

from device.dialogue import Brain, ReplyEvent
from device.errors import SettingsError
from device.fallback import FallbackBrain, ThinkerChanged, remote_settings, server_found, with_server
from device.settings import ServerSettings
from models.errors import PromptTooLongError, RemoteError
from models.grammar import Grammar
from models.messages import Finished, Message, Piece, Prefilled, Prompt
from models.sampling import Sampling
from models.stops import ReplyLimits
from tests.device.fakes import ScriptedBrain, dialogue_of, said
from tests.models.fake_server import Cut, FakeServer, delta, serving, whole

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
        self.probed_s: list[float] = []
        self.n_asked = 0
        self.n_dropped = 0

    async def probe(self) -> object:
        self.probed_s.append(asyncio.get_running_loop().time())
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


class Scene:
    """A server, a local model, and what was told of them."""

    def __init__(self, server: ScriptedServer, *, retry_after_s: float = 60.0) -> None:
        self.server, self.local, self.told = server, LocalModel(), list[ThinkerChanged]()
        self.brain = FallbackBrain(server, self.local, retry_after_s=retry_after_s, on_change=self.told.append)

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
            assert scene.thinkers == ["local"]
            assert await scene.turn() == HERE
        assert scene.server.n_asked == 0

    asyncio.run(run())


def test_the_server_is_asked_again_later_and_later_and_taken_back_once() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer(SERVERS, probes=[GONE] * 5), retry_after_s=0.02)
        async with scene.brain:
            await until(lambda: len(scene.told) > 1)
            assert await scene.turn() == SERVERS
        assert scene.thinkers == ["local", "server"]
        times_s = scene.server.probed_s
        waits_s = [later - earlier for earlier, later in pairwise(times_s)]
        assert len(waits_s) == 5
        assert all(wait_s >= 0.02 * 2**n for n, wait_s in enumerate(waits_s))

    asyncio.run(run())


def test_only_a_reply_makes_the_pauses_short_again() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer([GONE], [GONE], [GONE], SERVERS, [GONE]), retry_after_s=0.05)
        async with scene.brain:
            for n_failures in (1, 2, 3):
                lost_s = asyncio.get_running_loop().time()
                assert await scene.turn() == HERE
                await until(lambda: len(scene.told) % 2 == 0)  # lost, and back
                assert scene.server.probed_s[-1] - lost_s >= 0.05 * 2 ** (n_failures - 1)
            async with aclosing(scene.brain.stream(new_prompt(), Sampling(), LIMITS)) as reply:
                assert await anext(reply) == SERVERS[0]  # and no more: a person interrupts
            lost_s = asyncio.get_running_loop().time()
            assert await scene.turn() == HERE
            await until(lambda: len(scene.told) == 8)
            assert scene.server.probed_s[-1] - lost_s < 0.4, "as soon as at first, not after the fourth pause"

    asyncio.run(run())


def test_a_prompt_prepared_here_is_answered_here() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer(SERVERS, probes=[GONE]), retry_after_s=0.02)
        async with scene.brain as brain:
            prompt = new_prompt()
            await brain.prefill(prompt)
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


def test_no_task_outlives_the_brain() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer([GONE], probes=[None, *[GONE] * 99]), retry_after_s=0.001)
        async with scene.brain:
            await scene.turn()
            await until(lambda: len(scene.server.probed_s) > 2)
            assert len(asyncio.all_tasks()) == 2
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_what_the_model_here_cannot_do_is_raised() -> None:
    async def run() -> None:
        scene = Scene(ScriptedServer([GONE]))
        scene.local.failure = PromptTooLongError("too long")
        async with scene.brain:
            with pytest.raises(PromptTooLongError):
                await scene.turn()

    asyncio.run(run())


def settings_of(server: FakeServer) -> ServerSettings:
    return ServerSettings(url=server.url, first_token_timeout_s=0.5, stall_timeout_s=0.5, retry_after_s=1.0)


def test_a_real_server_that_vanishes_is_replaced_within_its_time_limit_and_taken_back() -> None:
    async def run() -> None:
        local, notices = LocalModel(), list[str]()
        server = FakeServer(whole("From afar."), [delta("From afar."), Cut()], whole("From afar."), [asyncio.Event()])
        loop = asyncio.get_running_loop()
        async with (
            asyncio.timeout(20),
            serving(server),
            with_server(local, settings_of(server), notices.append) as brain,
        ):
            assert await replied(brain, new_prompt()) == SERVERS
            assert await replied(brain, new_prompt()) == [SERVERS[0], Finished(reason="broken_off")]
            assert await replied(brain, new_prompt()) == HERE
            await until(lambda: len(notices) == 2)
            assert await replied(brain, new_prompt()) == SERVERS
            asked_s = loop.time()
            assert await replied(brain, new_prompt()) == HERE
            assert loop.time() - asked_s < 1.5
        assert [notice.removeprefix(server.url) for notice in notices] == [
            " broke the connection off. The model on this machine answers meanwhile.",
            "The server is back and answers again.",
            " did not begin a reply within 0.5 s. The model on this machine answers meanwhile.",
        ]

    asyncio.run(run())


def test_the_conversation_goes_on_across_the_change_with_what_was_said() -> None:
    async def run() -> None:
        server = FakeServer([delta("I live in"), delta(" the garden."), Cut()])
        local = ScriptedBrain("Yes, I do.")
        async with serving(server), with_server(local, settings_of(server), list[str]().append) as brain:
            dialogue = dialogue_of(cast("ScriptedBrain", brain), None)
            for words, reply in (("Where?", "I live in the garden."), ("Really?", "Yes, I do.")):
                prepared = await dialogue.prepare(words)
                async with aclosing(dialogue.reply(prepared)) as events:
                    pieces = [event async for event in events if isinstance(event, Piece)]
                assert await dialogue.record(words, pieces, 1000, interrupted=False) == reply
                await dialogue.settle()
        assert said(dialogue)[:2] == [("user", "Where?"), ("assistant", "I live in the garden.")]
        assert "Where?<|im_end|>\n<|im_start|>assistant\nI live in the garden.<|im_end|>" in local.prompts[0]
        assert server.bodies[0]["messages"][-1] == {"role": "user", "content": "Where?"}

    asyncio.run(run())


def test_without_an_address_nothing_stands_in_front_of_the_model() -> None:
    async def run() -> None:
        local = LocalModel()
        async with with_server(local, ServerSettings(), pytest.fail) as brain:
            assert brain is local

    asyncio.run(run())


def test_nothing_of_http_is_loaded_without_an_address() -> None:
    code = "import sys, device.companion; assert not {'aiohttp', 'models.remote'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_answers_is_described() -> None:
    async def run() -> None:
        async with serving(FakeServer(whole("Hi"), owned_by="vllm", models=["large"])) as server:
            assert await server_found(settings_of(server)) == f"vllm at {server.url}, large: everything said goes there"
        with pytest.raises(RemoteError, match="cannot be reached"):
            await server_found(settings_of(server))

    asyncio.run(run())


def test_the_key_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(" abc\n")
    assert remote_settings(ServerSettings(url="http://a/v1", key_file=file)).key == "abc"
    assert remote_settings(ServerSettings(url="http://a/v1")).key == ""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"\xff", "it is not text"),
        (b"a b", "one line of ASCII"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, expected: str) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=expected):
        remote_settings(ServerSettings(url="http://a/v1", key_file=file))


def test_an_address_that_is_none_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(SettingsError, match=r"\[server\].*looks like http://"):
        remote_settings(ServerSettings(url="192.168.1.5"))
