"""A conversation saved and restored is the same conversation."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models.engine import EngineSettings, LlamaEngine
from models.errors import StateFileError
from models.messages import Piece, Prefilled
from models.sampling import Sampling
from models.state_file import read_state, write_state
from models.stops import ReplyLimits
from tests.models.shaped_gguf import write_hybrid_model
from tests.models.tiny_gguf import write_wandering_model

SETTINGS = EngineSettings(n_ctx=256, n_batch=8, threads=1)
HEAD, TALK, WORDS = "you are a fox", " and we talk of this and that", " so tell me"


@pytest.fixture
def wandering(wandering_model: Path) -> Iterator[LlamaEngine]:
    with LlamaEngine(wandering_model, SETTINGS) as engine:
        yield engine


def plain(engine: LlamaEngine, text: str) -> tuple[int, ...]:
    return engine.vocabulary.tokenize(text, parse_special=False, continues=True)


def answer(engine: LlamaEngine, prompt: tuple[int, ...]) -> tuple[int, ...]:
    engine.prefill(prompt)
    events = engine.generate(Sampling(temperature=0, repeat_penalty=1), ReplyLimits(max_tokens=12))
    return tuple(token for event in events if isinstance(event, Piece) for token in event.tokens)


def test_a_restored_conversation_answers_as_the_one_that_was_saved(
    wandering: LlamaEngine, wandering_model: Path, tmp_path: Path
) -> None:
    talk = plain(wandering, HEAD + TALK)
    prompt = talk + plain(wandering, WORDS)
    wandering.settle(talk)
    snapshot = wandering.snapshot()
    assert snapshot is not None
    assert snapshot.tokens == talk
    path = tmp_path / "conversation.kvstate"
    write_state(path, wandering.state_key("Ada"), snapshot.tokens, snapshot.state, b"a note")
    expected = answer(wandering, prompt)
    with LlamaEngine(wandering_model, SETTINGS) as engine:
        saved = read_state(path, engine.state_key("Ada"))
        assert saved.note == b"a note"
        assert engine.restore(saved)
        assert engine.conversation == talk
        assert engine.settle(talk) == Prefilled(n_reused=len(talk), n_shifted=0, n_prefilled=0)
        assert answer(engine, prompt) == expected


def test_saving_leaves_the_conversation_as_it_is(wandering: LlamaEngine) -> None:
    talk = plain(wandering, HEAD + TALK)
    wandering.settle(talk)
    expected = answer(wandering, talk + plain(wandering, WORDS))
    for n_tokens in (None, 5, 1000):
        wandering.settle(talk)
        snapshot = wandering.snapshot(n_tokens)
        assert snapshot is not None
        assert snapshot.tokens == talk[:n_tokens]
        assert (wandering.conversation, wandering.draft) == (talk, ())
        assert answer(wandering, talk + plain(wandering, WORDS)) == expected


@pytest.mark.parametrize("write", [write_wandering_model, write_hybrid_model], ids=["attentive", "hybrid"])
def test_saving_the_whole_conversation_leaves_a_reply_that_was_prepared(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    write(tmp_path / "m.gguf")
    with LlamaEngine(tmp_path / "m.gguf", SETTINGS) as engine:
        talk = plain(engine, HEAD + TALK)
        prompt = talk + plain(engine, WORDS)
        engine.settle(talk)
        alone = engine.snapshot()
        expected = answer(engine, prompt)
        engine.prefill(prompt)
        assert engine.snapshot() == alone, "without a trace of the fork"
        assert engine.draft == prompt
        assert engine.prefill(prompt) == Prefilled(n_reused=len(prompt), n_shifted=0, n_prefilled=0)
        assert answer(engine, prompt) == expected


@pytest.mark.parametrize("most_bytes", [None, 1])
def test_saving_a_part_costs_a_reply_that_was_prepared(wandering: LlamaEngine, most_bytes: int | None) -> None:
    talk = plain(wandering, HEAD + TALK)
    wandering.settle(talk)
    wandering.prefill(talk + plain(wandering, WORDS))
    assert (wandering.snapshot(5, most_bytes=most_bytes) is None) == (most_bytes == 1)
    assert wandering.draft == ()
    with pytest.raises(RuntimeError, match="prefill"):
        next(wandering.generate(Sampling(), ReplyLimits(max_tokens=1)))


def test_a_conversation_is_saved_right_after_a_part_of_it_has_left(wandering: LlamaEngine, tmp_path: Path) -> None:
    head, gone, tail = (plain(wandering, text) for text in (HEAD, " whom nobody can see", TALK))
    wandering.settle(head + gone + tail)
    settled = wandering.settle(head + tail)
    assert settled is not None
    assert settled.n_shifted > 0
    snapshot = wandering.snapshot()
    assert snapshot is not None
    assert snapshot.tokens == head + tail
    path, key = tmp_path / "talk.kvstate", wandering.state_key("Pip")
    write_state(path, key, snapshot.tokens, snapshot.state)
    prompt = head + tail + plain(wandering, WORDS)
    expected = answer(wandering, prompt)
    assert wandering.restore(read_state(path, key))
    assert answer(wandering, prompt) == expected


def test_the_beginning_of_a_conversation_is_saved_by_itself(wandering: LlamaEngine, tmp_path: Path) -> None:
    head, talk = plain(wandering, HEAD), plain(wandering, HEAD + TALK)
    wandering.settle(talk)
    snapshot = wandering.snapshot(len(head))
    assert snapshot is not None
    path, key = tmp_path / "head.kvstate", wandering.state_key("Pip")
    write_state(path, key, snapshot.tokens, snapshot.state)
    expected = answer(wandering, talk)
    assert wandering.restore(read_state(path, key))
    assert wandering.conversation == head
    assert answer(wandering, talk) == expected


def test_what_is_too_large_is_not_taken_out_of_the_cache(wandering: LlamaEngine) -> None:
    talk = plain(wandering, HEAD + TALK)
    wandering.settle(talk)
    snapshot = wandering.snapshot()
    assert snapshot is not None
    size = len(snapshot.state)
    assert wandering.snapshot(most_bytes=size - 1) is None
    assert wandering.snapshot(len(talk) - 1, most_bytes=1) is None
    assert wandering.conversation == talk
    assert wandering.snapshot(most_bytes=size) == snapshot


def test_an_empty_conversation_has_nothing_to_save(wandering: LlamaEngine) -> None:
    assert wandering.snapshot() is None


def test_what_llama_cpp_does_not_take_costs_a_prefill(wandering: LlamaEngine, tmp_path: Path) -> None:
    talk = plain(wandering, HEAD + TALK)
    wandering.settle(talk)
    path, key = tmp_path / "odd.kvstate", wandering.state_key("")
    write_state(path, key, talk, b"\xff" * 4)
    assert not wandering.restore(read_state(path, key))
    assert wandering.conversation == ()
    assert wandering.settle(talk) == Prefilled(n_reused=0, n_shifted=0, n_prefilled=len(talk))


@pytest.mark.parametrize("other", [EngineSettings(n_ctx=512), EngineSettings(n_ctx=256, kv_type="q8_0")])
def test_other_settings_have_another_key(
    wandering: LlamaEngine, wandering_model: Path, tmp_path: Path, other: EngineSettings
) -> None:
    path = tmp_path / "conversation.kvstate"
    write_state(path, wandering.state_key("Ada"), (1,), b"state")
    with LlamaEngine(wandering_model, other) as engine:
        for label in ("Ada", "Bea"):
            with pytest.raises(StateFileError, match="belongs to another"):
                read_state(path, engine.state_key(label))
