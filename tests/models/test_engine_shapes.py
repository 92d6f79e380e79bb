"""What can be moved in the KV cache depends on the shape of the model. On real llama.cpp: it ends the process if asked
for more."""

from dataclasses import replace
from pathlib import Path

from models.engine import EngineSettings, LlamaEngine
from models.messages import Piece, Prefilled
from models.sampling import Sampling
from models.stops import ReplyLimits
from tests.models.shaped_gguf import write_hybrid_model, write_partly_rotated_model, write_wide_headed_model


def plain(engine: LlamaEngine, text: str) -> tuple[int, ...]:
    return engine.vocabulary.tokenize(text, parse_special=False, continues=True)


def reply(engine: LlamaEngine) -> str:
    events = engine.generate(Sampling(temperature=0, repeat_penalty=1), ReplyLimits(max_tokens=8))
    return "".join(event.text for event in events if isinstance(event, Piece))


QUANTIZED = EngineSettings(n_ctx=256, n_batch=8, kv_type="q8_0", threads=1)


def test_quantized_keys_of_narrow_heads_are_computed_anew_and_weights_need_no_map(scripted_model: Path) -> None:
    with LlamaEngine(scripted_model, replace(QUANTIZED, mmap=False)) as engine:
        head, gone, tail = (plain(engine, text) for text in ("keep this", "drop it", "and this text stays where it is"))
        engine.settle(head + gone + tail)
        prompt = head + tail + engine.vocabulary.tokenize("<|im_start|>assistant\n", parse_special=True)
        assert engine.prefill(prompt) == Prefilled(n_reused=len(head), n_shifted=0, n_prefilled=len(prompt) - len(head))
        assert reply(engine).startswith("Hi there")


def test_quantized_keys_of_wide_heads_are_moved_and_answer_as_those_computed_anew(tmp_path: Path) -> None:
    with LlamaEngine(write_wide_headed_model(tmp_path / "wide.gguf"), QUANTIZED) as engine:
        assert engine.can_shift
        head, gone = plain(engine, "keep this"), plain(engine, "drop this part of it")
        tail, new = plain(engine, "and this stays as it is"), plain(engine, "then come new words")
        said = {}
        for name, before in (("anew", head + tail), ("with what is gone", head + gone + tail)):
            engine.prefill(plain(engine, "zzz"))
            engine.prefill(before + new)
            said[name] = reply(engine)
        engine.settle(head + gone + tail)
        moved = engine.settle(head + tail + new[:-1])
        assert moved == Prefilled(n_reused=len(head + tail), n_shifted=len(tail), n_prefilled=len(new) - 1)
        engine.prefill(head + tail + new)
        assert reply(engine) == said["anew"] != said["with what is gone"]


def test_quantized_keys_that_are_rotated_in_part_are_computed_anew(tmp_path: Path) -> None:
    with LlamaEngine(write_partly_rotated_model(tmp_path / "part.gguf"), QUANTIZED) as engine:
        assert not engine.can_shift
        head, gone, tail = (plain(engine, text) for text in ("keep this", "drop it", "and this text stays where it is"))
        engine.settle(head + gone + tail)
        assert engine.settle(head + tail) == Prefilled(n_reused=len(head), n_shifted=0, n_prefilled=len(tail))


def test_a_hybrid_model_forgets_as_a_whole_and_says_so(tmp_path: Path) -> None:
    with LlamaEngine(write_hybrid_model(tmp_path / "hybrid.gguf"), EngineSettings(n_ctx=256, threads=1)) as engine:
        assert not engine.can_shift
        other = plain(engine, "something else entirely")
        engine.prefill(other)
        fresh = reply(engine)
        engine.settle(plain(engine, "hello there"))
        assert engine.prefill(other) == Prefilled(n_reused=0, n_shifted=0, n_prefilled=len(other))
        assert reply(engine) == fresh
