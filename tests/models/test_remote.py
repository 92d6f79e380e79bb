"""A server elsewhere, over real sockets: its replies, what it is told, and every way in which it may fail."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from models.errors import RemoteError
from models.messages import Finished, Message, Piece, Prefilled, Prompt
from models.remote import RemoteEngine, RemoteSettings
from models.sampling import Sampling
from models.stops import ReplyLimits
from tests.models.fake_server import DONE, Cut, FakeServer, delta, event, finish, serving, thought, whole

SECRET = "the words of a person"
PROMPT = Prompt(tokens=(1,), messages=(Message(role="user", text=SECRET),))
LIMITS = ReplyLimits(max_tokens=80, stop=("\n",))
REPLY = [Piece(text="Hello", tokens=()), Piece(text=" there.", tokens=()), Finished(reason="end_of_turn")]


def settings_of(server: FakeServer, **more: Any) -> RemoteSettings:
    return RemoteSettings(**{"url": server.url, "first_token_timeout_s": 60.0, "stall_timeout_s": 60.0, **more})


def with_server(server: FakeServer, use: Callable[[RemoteEngine], Awaitable[None]], **more: Any) -> None:
    async def run() -> None:
        async with asyncio.timeout(60), serving(server), RemoteEngine(settings_of(server, **more)) as engine:
            await use(engine)

    asyncio.run(run())


def stream(engine: RemoteEngine, limits: ReplyLimits = LIMITS) -> AsyncGenerator[Prefilled | Piece | Finished, None]:
    return engine.stream(PROMPT, Sampling(seed=7), limits)


async def collect(engine: RemoteEngine, limits: ReplyLimits = LIMITS) -> tuple[list[Prefilled | Piece | Finished], str]:
    """The events of a reply, and the error that ended it, if one did."""
    events = []
    try:
        async with aclosing(stream(engine, limits)) as reply:
            async for item in reply:
                events.append(item)  # noqa: PERF401  what came before an error counts
    except RemoteError as error:
        return events, str(error)
    return events, ""


def outcome(server: FakeServer, limits: ReplyLimits = LIMITS, **more: Any) -> tuple[list[Any], str]:
    found: list[Any] = []

    async def use(engine: RemoteEngine) -> None:
        found.extend(await collect(engine, limits))

    with_server(server, use, **more)
    return found[0], found[1]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  the server tells nobody
            await asyncio.sleep(0.002)


def test_a_reply_from_llama_server_tells_what_it_prefilled() -> None:
    timings = {"cache_n": 90, "prompt_n": 12, "predicted_n": 1}
    server = FakeServer([delta("Hello", timings=timings), delta(" there.", timings=timings), finish(), DONE])
    events, error = outcome(server, key="abc", model="tiny")
    assert (events, error) == ([Prefilled(n_reused=90, n_shifted=0, n_prefilled=12), *REPLY], "")
    (body,), (headers,) = server.bodies, server.headers
    assert body["messages"] == [{"role": "user", "content": SECRET}]
    assert (body["model"], body["seed"], body["cache_prompt"]) == ("tiny", 7, True)
    assert headers["Authorization"] == "Bearer abc"


def test_a_reply_from_vllm_says_nothing_of_the_prompt() -> None:
    usage = event({"choices": [], "usage": {"prompt_tokens": 102, "prompt_tokens_details": {"cached_tokens": 90}}})
    role = event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
    server = FakeServer([role, *whole("Hello", " there.")[:-1], usage, DONE], owned_by="vllm")
    assert outcome(server) == (REPLY, "")
    assert "cache_prompt" not in server.bodies[0]
    assert server.bodies[0]["model"] == "tiny", "the first of the list, where the settings name none"


def test_a_server_may_write_its_stream_as_it_likes() -> None:
    stream_of = b": hello\n\n" + delta("Hello") + delta(" there.") + finish() + DONE
    with_mark = b"\xef\xbb\xbf" + stream_of.replace(b"\n", b"\r\n")
    server = FakeServer([bytes([byte]) for byte in with_mark])
    assert outcome(server) == (REPLY, "")


@pytest.mark.parametrize("last", [[finish()], [DONE], [finish(), DONE, delta("more")]])
def test_the_end_may_be_told_in_several_ways(last: list[bytes]) -> None:
    assert outcome(FakeServer([delta("Hello"), delta(" there."), *last])) == (REPLY, "")


def test_thoughts_are_not_spoken() -> None:
    server = FakeServer([thought("Hm."), delta("<think>Well.</think>\n\nHello"), delta(" there."), finish()])
    assert outcome(server) == (REPLY, "")


def test_a_server_that_refuses_what_it_does_not_know_is_asked_for_less_from_then_on() -> None:
    refusal = web.json_response({"error": {"type": "invalid_request_error"}}, status=400)
    server = FakeServer(refusal, whole("Hello", " there."), owned_by="acme")

    async def use(engine: RemoteEngine) -> None:
        assert await collect(engine) == (REPLY, "")
        assert await collect(engine) == (REPLY, "")

    with_server(server, use)
    assert ["temperature" in body for body in server.bodies] == [True, False, False]
    assert set(server.bodies[1]) == {"model", "messages", "stream"}


def test_a_request_that_is_refused_twice_is_refused() -> None:
    server = FakeServer(
        web.json_response({"error": {"type": "exceed_context_size_error", "message": SECRET}}, status=400)
    )
    events, error = outcome(server)
    assert events == []
    assert error == f"{server.url} refuses with status 400 (exceed_context_size_error); its log says why"
    assert len(server.bodies) == 2


def answer(status: int = 200, text: str = SECRET, kind: str = "text/html", **headers: str) -> web.Response:
    return web.Response(status=status, text=text, content_type=kind, headers=headers)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (answer(), "answers with text/html in place of text/event-stream"),
        (answer(kind="application/json"), "answers with application/json in place of"),
        (answer(307, Location="http://127.0.0.1:1/v1"), "sends requests on to another address, which is not followed"),
        (answer(401), "refuses the key, or wants one"),
        (answer(404), "does not know the model"),
        (answer(429), "has been asked too much"),
        (answer(500), "refuses with status 500; its log says why"),
        (answer(503), "is not ready yet"),
        ([], "closed the connection without a word"),
        ([b"data: {"], "closed the connection without a word"),
        ([DONE], "ended its reply without a word"),
        ([Cut()], "broke the connection off"),
        ([b": " + b"x" * 3_000_000], "sent a line of more than 1048576 bytes"),
        ([event({"error": {"message": SECRET, "type": "server_error"}})], "gave the reply up (server_error)"),
        ([f"data: {SECRET}\n\n".encode()], "sent something else than a chunk of a reply"),
        ([b"\x1f\x8b\x08" * 99], "closed the connection without a word"),
    ],
)  # fmt: skip
def test_what_a_server_does_wrong_is_told_in_a_line_without_a_word_of_anybody(script: Any, expected: str) -> None:
    server = FakeServer(script)
    events, error = outcome(server, key="very-secret")
    assert events == []
    assert error.startswith(f"{server.url} {expected}")
    assert "\n" not in error
    assert SECRET not in error
    assert "very-secret" not in error


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ([], "broke off in the middle of a reply"),
        ([b'data: {"choi'], "broke off in the middle of a reply"),
        ([b'data: {"choi', Cut()], "broke the connection off"),
        ([event({"error": "x"})], "gave the reply up"),
        ([b"x" * 3_000_000], "sent a line of more than"),
    ],
)
def test_what_came_before_a_break_is_given(rest: list[Any], expected: str) -> None:
    server = FakeServer([delta("Hello"), *rest])
    events, error = outcome(server)
    assert events == [Piece(text="Hello", tokens=())]
    assert error.startswith(f"{server.url} {expected}")


@pytest.mark.parametrize(
    "noise", [b"", b": keep-alive\n\n", event({"choices": [{"delta": {"reasoning_content": "Hm"}}]})]
)
def test_a_server_that_does_not_begin_is_given_up_in_time(noise: bytes) -> None:
    server = FakeServer([*[noise] * 50, asyncio.Event()])

    async def use(engine: RemoteEngine) -> None:
        assert await collect(engine) == ([], f"{server.url} did not begin a reply within 0.3 s")
        await until(lambda: server.n_running == 0)

    with_server(server, use, first_token_timeout_s=0.3)


def test_a_server_that_falls_silent_is_given_up_in_time() -> None:
    server = FakeServer([delta("Hello"), b": keep-alive\n\n", asyncio.Event()])
    events, error = outcome(server, stall_timeout_s=0.3)
    assert events == REPLY[:1]
    assert error == f"{server.url} fell silent within a reply for 0.3 s"


def test_the_time_of_the_reader_does_not_count_as_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    held = asyncio.Event()
    server = FakeServer([delta("Hello"), held, *whole(" there.")])

    async def run() -> None:
        loop = asyncio.get_running_loop()
        clock, away_s, events = loop.time, 0.0, []
        monkeypatch.setattr(loop, "time", lambda: clock() + away_s)
        async with serving(server), RemoteEngine(settings_of(server)) as engine, aclosing(stream(engine)) as reply:
            async for item in reply:
                events.append(item)
                away_s += 100.0  # longer than both limits
                held.set()
        assert events == REPLY

    asyncio.run(run())


def test_a_reply_that_never_ends_is_left_at_its_limit() -> None:
    server = FakeServer([*[delta("na ")] * 100, asyncio.Event()])

    async def use(engine: RemoteEngine) -> None:
        events, error = await collect(engine, ReplyLimits(max_tokens=20))
        assert error == ""
        assert len(events) == 21
        assert events[-1] == Finished(reason="max_tokens")
        await until(lambda: server.n_running == 0)

    with_server(server, use)


def test_breaking_off_closes_the_connection_before_any_limit_does() -> None:
    server = FakeServer([delta("Hello"), asyncio.Event()])

    async def use(engine: RemoteEngine) -> None:
        async with aclosing(stream(engine)) as reply:
            assert await anext(reply) == REPLY[0]
            assert (server.n_running, server.n_dropped) == (1, 0)
        await until(lambda: server.n_dropped == 1)

    with_server(server, use)


@pytest.mark.parametrize("before", [[], [delta("Hello")]])
def test_cancelling_the_reader_closes_the_connection_before_any_limit_does(before: list[bytes]) -> None:
    server = FakeServer([*before, asyncio.Event()])

    async def use(engine: RemoteEngine) -> None:
        reading = asyncio.create_task(collect(engine))
        await until(lambda: server.n_running == 1)
        reading.cancel()
        await asyncio.wait((reading,))
        assert reading.cancelled()
        await until(lambda: server.n_dropped == 1)

    with_server(server, use)


def test_replies_may_be_read_side_by_side() -> None:
    held = asyncio.Event()
    server = FakeServer([delta("Hello"), held, *whole(" there.")], whole("Hello", " there."))

    async def use(engine: RemoteEngine) -> None:
        await engine.probe()
        first = asyncio.create_task(collect(engine))
        await until(lambda: server.n_running == 1)
        assert await collect(engine) == (REPLY, "")
        held.set()
        assert await first == (REPLY, "")

    with_server(server, use)


def test_probing_names_the_models_and_asks_for_nothing_else() -> None:
    server = FakeServer(whole("Hello"), models=("tiny", "large"))

    async def use(engine: RemoteEngine) -> None:
        models = await engine.probe()
        assert (models.dialect, models.names) == ("llama-server", ("tiny", "large"))

    with_server(server, use, model="large")
    assert (server.n_listed, server.bodies) == (1, [])


@pytest.mark.parametrize(
    ("models", "answered", "expected"),
    [
        (["tiny", "small"], None, "has no model 'large'; it has tiny, small"),
        (list("abcdefg"), None, "has no model 'large'; it has a, b, c, d, e, ..."),
        ([], None, "has no model 'large'; it has none"),
        ([], answer(401), "refuses the key"),
        ([], answer(), "answers with text/html in place of application/json; most addresses end in /v1"),
        ([], answer(text="x" * 5_000_000, kind="application/json"), "sent something else than a list of models"),
    ],
)
def test_a_server_that_could_not_answer_is_found_out_by_probing(
    models: list[str], answered: Any, expected: str
) -> None:
    server = FakeServer(whole("Hello"), models=models)
    server.models_answer = answered

    async def use(engine: RemoteEngine) -> None:
        with pytest.raises(RemoteError) as caught:
            await engine.probe()
        assert str(caught.value).startswith(f"{server.url} {expected}")

    with_server(server, use, model="large")


def test_nobody_there_is_told_at_once() -> None:
    async def run() -> None:
        server = FakeServer(whole("Hello"))
        async with serving(server):
            pass
        async with RemoteEngine(settings_of(server)) as engine:
            assert await collect(engine) == ([], f"{server.url} cannot be reached: Connection refused")

    asyncio.run(run())


def test_no_proxy_of_the_environment_reads_along(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert outcome(FakeServer(whole("Hello", " there."))) == (REPLY, "")


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    try:
        subprocess.run(
            [*make, "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("openssl makes the certificate, and is not here")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = FakeServer(whole("Hello"))

    async def run() -> None:
        async with serving(server, tls=tls), RemoteEngine(settings_of(server)) as engine:
            _, error = await collect(engine)
            assert error.startswith(f"{server.url} has a certificate that this machine does not trust")

    asyncio.run(run())
    assert not server.bodies


def test_https_where_there_is_none_is_told() -> None:
    server = FakeServer(whole("Hello"))

    async def run() -> None:
        async with serving(server):
            settings = replace(settings_of(server), url=server.url.replace("http://", "https://"))
            async with RemoteEngine(settings) as engine:
                _, error = await collect(engine)
                assert error.startswith(f"{settings.url} speaks no TLS")

    asyncio.run(run())


def test_a_name_that_only_looking_it_up_shows_to_be_none_is_told() -> None:
    url = "http://\N{ONE DOT LEADER}:1/v1"  # which means a dot, and so an empty label on either side of it

    async def run() -> None:
        async with RemoteEngine(RemoteSettings(url=url)) as engine:
            assert await collect(engine) == ([], f"{url} has a name that no machine can have")

    asyncio.run(run())
