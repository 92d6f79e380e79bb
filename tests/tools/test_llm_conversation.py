"""The conversation of the engine's benchmark: counting what is new, and both sides hearing the same."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.character import Character
from models.engine import EngineSettings, LlamaEngine
from models.messages import Message
from models.sampling import Sampling
from tests.models.tiny_gguf import write_wandering_model
from tools.decode_meter import DecodeMeter
from tools.library_chat import LibraryChat
from tools.llm_conversation import new_tokens, run_conversation
from tools.llm_script import LINES, MEMORIES_EVERY, line, memories
from tools.llm_session import BenchModel, LlmSession

GREEDY = Sampling(temperature=0.0, repeat_penalty=1.0, seed=1)
HEAD = (Message(role="system", text="Be kind."),)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> BenchModel:
    path = tmp_path_factory.mktemp("conversation") / "wandering.gguf"
    write_wandering_model(path)
    return BenchModel(
        path=path,
        character=Character(name="Nobody", persona="Be kind."),
        settings=EngineSettings(threads=1),
        sampling=GREEDY,
    )


def test_only_what_follows_is_new() -> None:
    assert new_tokens([1, 2, 3, 4], [1, 2, 3, 4, 5, 6]) == 2


def test_what_moved_up_is_not_new() -> None:
    before = [1, 2, 3, 90, 91, 92, 4, 5, 6, 7]
    assert new_tokens(before, [1, 2, 3, 4, 5, 6, 7, 8]) == 1


@settings(deadline=None, max_examples=60)
@given(
    kept=st.lists(st.integers(0, 999), min_size=4, max_size=40, unique=True),
    gone=st.lists(st.integers(1000, 1999), max_size=10),
    added=st.lists(st.integers(2000, 2999), max_size=10),
    at=st.integers(0, 4),
)
def test_tokens_are_new_whatever_left_before_them(kept: list[int], gone: list[int], added: list[int], at: int) -> None:
    assert new_tokens([*kept[:at], *gone, *kept[at:]], [*kept, *added]) == len(added)


def test_the_script_has_sixty_different_lines_and_memories_now_and_then() -> None:
    assert len(LINES) == len(set(LINES)) == 60
    assert line(61) == LINES[1]
    assert sum(bool(memories(turn)) for turn in range(60)) == 60 // MEMORIES_EVERY


def test_every_turn_computes_its_own_tokens_alone(model: BenchModel) -> None:
    run = run_conversation(model, turns=7, say=lambda line: None)
    assert run.n_ctx == 512, "no more than the model was trained with"
    assert len(run.ours) == len(run.library) == 7
    assert any(turn.evicted for turn in run.ours), "the context is full after some turns"
    for turn in run.ours:
        assert turn.n_new > 0
        assert turn.computed_ratio < 1.5
    assert all(turn.n_prefilled > 0 and turn.first_token_s > 0 for turn in run.library)


def test_a_session_forgets_what_left_the_prompt(model: BenchModel) -> None:
    with LlamaEngine(model.path, replace(model.settings, n_ctx=512)) as engine:
        session = LlmSession(engine, model.builder(engine), model.sampling)
        for turn in range(8):
            asked = session.prompt(line(turn))
            session.say(line(turn), session.reply(asked.tokens))
            session.settle()
            assert len(engine.conversation) < 512
        assert 2 <= len(session.history) < 16
        assert session.history[-2].text == line(7)


def test_the_library_computes_its_head_ahead_and_then_only_words(model: BenchModel) -> None:
    with DecodeMeter() as meter, library(model, meter) as chat:
        chat.warm_up()
        n_head = meter.n_tokens
        turn = chat.ask("Hello.")
    assert turn.n_dropped == 0
    assert 0 < turn.n_prefilled < n_head + len("Hello.")


def test_the_library_loses_its_oldest_turns_before_it_overflows(model: BenchModel) -> None:
    with DecodeMeter() as meter, library(model, meter) as chat:
        dropped = [chat.ask("What shall we do today, you and me?").n_dropped for _ in range(9)]
    assert sum(dropped) > 0
    assert set(dropped) <= {0, 2, 4}, "whole turns"


def library(model: BenchModel, meter: DecodeMeter) -> LibraryChat:
    return LibraryChat(model.path, HEAD, meter, n_ctx=512, n_threads=1, sampling=GREEDY, reply_tokens=16)
