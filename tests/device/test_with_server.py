"""A server of the settings in front of the model here: over real sockets, and what is said of its address and key."""

import asyncio
import subprocess
import sys
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from device.errors import SettingsError
from device.fallback import chosen_server, remote_settings, server_found, with_server
from device.settings import ServerSettings
from models.errors import RemoteError
from models.messages import Finished, Piece
from tests.device.fakes import ScriptedBrain, dialogue_of, said
from tests.device.test_fallback import HERE, SERVERS, LocalModel, new_prompt, replied, until
from tests.models.fake_server import Cut, FakeServer, delta, serving, whole


def settings_of(server: FakeServer) -> ServerSettings:
    return ServerSettings(url=server.url, first_token_timeout_s=60.0, stall_timeout_s=60.0)


def test_a_real_server_that_breaks_off_is_replaced_and_taken_back() -> None:
    async def run() -> None:
        local, notices = LocalModel(), list[str]()
        server = FakeServer(whole("From afar."), [delta("From afar."), Cut()], whole("From afar."))
        async with (
            serving(server),
            with_server(local, chosen_server(settings_of(server)), notices.append, retry_after_s=0.2) as brain,
        ):
            assert await replied(brain, new_prompt()) == SERVERS
            assert await replied(brain, new_prompt()) == [SERVERS[0], Finished(reason="broken_off")]
            await until(lambda: len(notices) == 2)
            assert await replied(brain, new_prompt()) == SERVERS
        assert [notice.removeprefix(server.url) for notice in notices] == [
            " broke the connection off. The model on this machine answers meanwhile.",
            "The server is back and answers again.",
        ]

    asyncio.run(run())


def test_a_real_server_that_says_nothing_is_replaced_when_its_time_is_up() -> None:
    async def run() -> None:
        notices: list[str] = []
        async with serving(FakeServer([asyncio.Event()])) as server:
            settings = replace(settings_of(server), first_token_timeout_s=0.3)
            async with with_server(LocalModel(), chosen_server(settings), notices.append, retry_after_s=60.0) as brain:
                assert await replied(brain, new_prompt()) == HERE
        (notice,) = notices
        assert notice.startswith(f"{server.url} did not begin a reply within 0.3 s.")

    asyncio.run(run())


def test_the_conversation_goes_on_across_the_change_with_what_was_said() -> None:
    async def run() -> None:
        server = FakeServer([delta("I live in"), delta(" the garden."), Cut()])
        local = ScriptedBrain("Yes, I do.")
        async with (
            serving(server),
            with_server(local, chosen_server(settings_of(server)), list[str]().append, retry_after_s=60.0) as brain,
        ):
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
        async with with_server(local, chosen_server(ServerSettings()), pytest.fail, retry_after_s=1.0) as brain:
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
