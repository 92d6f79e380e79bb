"""Putting the companion together: what the settings say reaches the model."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device.companion import Places, open_dialogue, prompt_builder, reply_limits, sampling
from device.errors import SettingsError
from device.settings import ServerSettings, Settings, ThinkSettings
from device.settings_file import load_settings
from memory.store import MemoryStore
from models.character import starter_character
from models.engine import EngineSettings, LlamaEngine
from models.sampling import Sampling
from models.stops import ReplyLimits
from models.store import ModelStore
from tests.device.fakes import talk_with
from tests.models.tiny_gguf import CHATML, write_scripted_model

THINKS = CHATML + "{{ '' if enable_thinking else '<think>\n\n</think>\n\n' }}"


def with_think(**changes: Any) -> Settings:
    return Settings(think=replace(ThinkSettings(), **changes))


def test_the_default_settings_are_the_defaults_of_the_sampler() -> None:
    assert sampling(Settings()) == Sampling()
    assert reply_limits(Settings()) == ReplyLimits(max_tokens=80)


def test_every_setting_of_the_sampler_reaches_it() -> None:
    changes = {
        "temperature": 1.0,
        "top_k": 7,
        "top_p": 0.8,
        "min_p": 0.2,
        "top_n_sigma": 1.5,
        "repeat_penalty": 1.3,
        "presence_penalty": 0.4,
        "frequency_penalty": 0.3,
        "dry_multiplier": 0.8,
        "xtc_probability": 0.5,
        "xtc_threshold": 0.2,
        "seed": 5,
    }
    chosen = sampling(with_think(**changes))
    assert {name: getattr(chosen, name) for name in changes} == changes
    limits = reply_limits(with_think(max_reply_tokens=50, max_words=20, thinking_tokens=100))
    assert limits == ReplyLimits(max_tokens=50, max_words=20, thinking_tokens=100)


@pytest.mark.parametrize("end", ["low", "high"])
def test_no_setting_within_its_bounds_is_refused_by_the_sampler(end: str, tmp_path: Path) -> None:
    lines = [
        f"{name} = {field.metadata[end]}"
        for name, field in ThinkSettings.__dataclass_fields__.items()
        if hasattr(Sampling(), name) or hasattr(ReplyLimits(max_tokens=1), name)
    ]
    assert len(lines) == 14
    (tmp_path / "familiar.toml").write_text("\n".join(["[think]", *lines]), encoding="utf-8")
    settings = load_settings(tmp_path / "familiar.toml", {})
    assert sampling(settings)
    assert reply_limits(settings)


def test_room_for_thoughts_is_kept_in_the_prompt_and_the_template_is_asked_for_them(tmp_path: Path) -> None:
    path = tmp_path / "thinks.gguf"
    write_scripted_model(path, ("Hi",), template=THINKS)
    with LlamaEngine(path, EngineSettings(n_ctx=512, threads=1)) as engine:

        def prompt_end(settings: Settings) -> str:
            prompts = prompt_builder(engine, replace(starter_character(), persona="Pip", examples=()), settings)
            return engine.vocabulary.written(prompts.build((), "Hi").tokens).replace(" ", "")[-40:]

        assert prompt_end(with_think()).endswith("assistant\n<think>\n\n</think>\n\n")
        assert prompt_end(with_think(thinking_tokens=100)).endswith("assistant\n")
        with pytest.raises(
            SettingsError, match=r"max_reply_tokens = 80 with think.thinking_tokens = 500 leaves no room"
        ):
            prompt_builder(engine, starter_character(), with_think(thinking_tokens=500))


def test_a_mistake_in_the_server_is_told_before_anything_is_opened(tmp_path: Path) -> None:
    async def run(server: ServerSettings) -> None:
        where = Places(store=ModelStore(tmp_path / "models"), memory=tmp_path / "memory.db", states=tmp_path / "states")
        async with open_dialogue(starter_character(), Settings(server=server), where):
            pass

    for server in (ServerSettings(url="192.168.1.5"), ServerSettings(url="http://a/v1", key_file=tmp_path / "none")):
        with pytest.raises(SettingsError, match="server"):
            asyncio.run(run(server))
    assert not list(tmp_path.iterdir())


def test_a_memory_of_a_newer_version_is_said_and_left_alone_and_the_conversation_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        store.write("pretend", lambda connection: connection.execute("PRAGMA user_version = 999"))
    before = path.read_bytes()
    write_scripted_model(tmp_path / "talks.gguf", ("Hi",))
    settings = replace(Settings(), think=ThinkSettings(model=str(tmp_path / "talks.gguf"), context_tokens=512))

    async def run() -> tuple[str, ...]:
        where = Places(store=ModelStore(tmp_path / "models"), memory=path, states=tmp_path / "states")
        async with open_dialogue(replace(starter_character(), persona="Pip", examples=()), settings, where) as opened:
            await talk_with(opened.dialogue, "Hello!")
            return opened.notices

    (notice,) = asyncio.run(run())
    assert "newer version" in notice
    assert path.read_bytes() == before
