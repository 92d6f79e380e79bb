"""Grammars: bad ones are refused with a reason, and a reply follows a good one to its end or as far as it may go."""

import errno
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from models.engine import EngineSettings, LlamaEngine
from models.errors import GrammarError
from models.grammar import Grammar, gbnf, json_schema
from models.messages import Finished, Piece
from models.sampling import Sampling
from models.stops import ReplyLimits
from tests.models.tiny_gguf import CONTROL, write_scripted_model

FOX: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "mood": {"enum": ["happy", "sad"]},
        "age": {"type": "integer"},
    },
    "required": ["name", "mood", "age"],
}


def follow(engine: LlamaEngine, grammar: Grammar, *, seed: int = 1, max_tokens: int = 60) -> tuple[str, str]:
    """What is said under a grammar, and why it ended."""
    sampling = Sampling(temperature=1.5, top_k=0, min_p=0, seed=seed, grammar=grammar)
    text, reason = "", ""
    for event in engine.generate(sampling, ReplyLimits(max_tokens=max_tokens)):
        match event:
            case Piece():
                text += event.text
            case Finished():
                reason = event.reason
    return text, reason


def ask(engine: LlamaEngine, text: str) -> None:
    prompt = f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    engine.prefill(engine.vocabulary.tokenize(prompt, parse_special=True))


def _alike(rule: str, n: int) -> str:
    """Rules a0, a1, ..., each made of the one that follows it; the last is a character or nothing."""
    rules = (f"a{at} ::= {rule.replace('{1}', str(at + 1))}\n" for at in range(n))
    return "".join(rules) + f'a{n} ::= "x"?'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("root ::= \0", "NUL"),
        ("root ::= (", r"expecting '\)'"),
        ("root ::= other", "Undefined rule identifier 'other'"),
        ('other ::= "a"', "does not contain a 'root' symbol"),
        ('root ::= "a"{3000}', "repetitions"),
        ("root ::= <|im_end|>", "no vocab"),
        ('root ::= root "a"', "root → root"),
        ('root ::= space root "a" | "b"\nspace ::= [ ]*', "root → root"),
        ('root ::= x root "c" | "b"\nx ::= y\ny ::= []', "root → root"),
        ("root ::= a0\n" + "".join(f"a{n} ::= a{(n + 1) % 500}\n" for n in range(500)), "begins with itself: a"),
        ('root ::= "a"{5,3}', r"ends before it begins: \{5,3\}"),
        ('root ::= "' + "a" * 60_000 + '"{1999}', "too long"),
        ("root ::= " + '"a"{0,1990} ' * 1_000, "too long"),
        ("root ::= a0\n" + _alike("a{1} | a{1}", 60), "too many ways"),
        ("root ::= a0\n" + _alike("a{1} a{1} | a{1}", 60), "too many ways"),
        ("root ::= a0\n" + _alike("a{1}", 3_000), "through too many others"),
        ('root ::= "b" | ' + " | ".join(["r"] * 5_000) + "\nr ::= " + '"a"{1990} ' * 100, "too many ways"),
        ("root ::= " + "(" * 700 + '"a"' + ")" * 700, "600 deep"),
        ('root ::= "' + "a" * 70_000 + '"', "65536 bytes"),
    ],
)
def test_a_grammar_that_cannot_be_used_is_refused_in_one_line(
    text: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(GrammarError, match=reason) as caught:
        gbnf(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert capfd.readouterr() == ("", ""), "llama.cpp prints the whole grammar"


def test_the_depth_that_is_allowed_is_read() -> None:
    assert gbnf("root ::= " + "(" * 599 + '"a"' + ")" * 599)


def test_a_list_of_words_and_long_repetitions_are_read() -> None:
    assert gbnf("root ::= " + " | ".join(f'"{n:x}"' for n in range(3_000)))
    assert gbnf('root ::= "x" [a-z]{0,1990} ("a" | "b"){500}')


def test_grammars_read_at_once_leave_standard_error_where_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    """Of two that turn it aside at once, the second would bring back what the first had put there."""
    before = os.fstat(2)
    barrier = threading.Barrier(4)

    def read(_number: int) -> list[str]:
        barrier.wait(timeout=30)
        return [refused("root ::= (") for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        reasons = {reason for reasons in pool.map(read, range(4)) for reason in reasons}
    after = os.fstat(2)
    assert (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino)
    assert len(reasons) == 1, "each has its own reason, and nobody else's"
    assert "expecting ')'" in reasons.pop()
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def refused(text: str) -> str:
    with pytest.raises(GrammarError) as caught:
        gbnf(text)
    return str(caught.value)


def test_where_standard_error_is_closed_grammars_are_read_all_the_same() -> None:
    script = """
import os
from models.errors import GrammarError
from models.grammar import gbnf
from models.native import llama_cpp
llama_cpp()  # loading it opens files
os.close(2)
gbnf('root ::= "a"')
try:
    gbnf("root ::= (")
except GrammarError as error:
    print(error)
try:
    os.fstat(2)
except OSError:
    print("closed")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0
    refusal, still = done.stdout.splitlines()
    assert refusal.startswith("the grammar cannot be used: ")
    assert still == "closed"


def test_where_no_file_can_be_made_nothing_is_collected(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_args: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, "the disk is full")

    monkeypatch.setattr("models.grammar.tempfile.TemporaryFile", full)
    assert gbnf('root ::= "a"')
    assert refused("root ::= (").startswith("the grammar cannot be used")
    assert "expecting ')'" in capfd.readouterr().err, "then it is at least seen"


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("", "Expecting value"),
        ('{"type": ', "Expecting value"),
        ("[]", "list"),
        ({"type": "unheard-of"}, "Unrecognized schema"),
        ({"$ref": "https://example.com/schema"}, "not allowed"),
        ({"$ref": "#/nowhere"}, "nowhere"),
        ({"type": "string", "pattern": "^a{100000}$"}, "repeated 100000 times"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 10**12}, "at most 500"),
        ({"type": "object", "properties": {"a": {"type": "string", "maxLength": 501}}}, "at most 500"),
        ('{"items":' * 100 + "{}" + "}" * 100, "64 deep"),
        ({"enum": ["x" * 70_000]}, "65536 characters"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: Mapping[str, Any] | str, reason: str) -> None:
    with pytest.raises(GrammarError, match=reason):
        json_schema(schema)


def test_a_schema_may_be_text_or_a_mapping_and_count_to_five_hundred() -> None:
    assert json_schema(FOX) == json_schema(json.dumps(FOX))
    assert json_schema({"type": "string", "maxLength": 500}).text


@pytest.fixture(scope="module")
def wanderer(wandering_model: Path) -> Iterator[LlamaEngine]:
    with LlamaEngine(wandering_model, EngineSettings(n_ctx=256, threads=1)) as engine:
        yield engine


@pytest.mark.parametrize("seed", range(8))
def test_a_reply_follows_its_grammar_to_the_end_or_as_far_as_it_may_go(wanderer: LlamaEngine, seed: int) -> None:
    """Random weights want nothing of what the grammar asks for."""
    grammar = gbnf('root ::= ("ab" | "é" | [x-z]){2,6} ("!" | "?")')
    ask(wanderer, "hello")
    text, reason = follow(wanderer, grammar, seed=seed)
    assert reason == "end_of_turn"
    assert re.fullmatch("(ab|é|[x-z]){2,6}[!?]", text)
    ask(wanderer, "hello")
    cut, reason = follow(wanderer, grammar, seed=seed, max_tokens=2)
    assert reason == "max_tokens"
    assert text.startswith(cut)


def test_an_empty_grammar_says_nothing(wanderer: LlamaEngine) -> None:
    ask(wanderer, "hello")
    assert follow(wanderer, gbnf('root ::= ""')) == ("", "end_of_turn")


def test_a_grammar_that_was_never_checked_is_an_error_too(wanderer: LlamaEngine) -> None:
    ask(wanderer, "hello")
    with pytest.raises(GrammarError, match="does not parse"):
        follow(wanderer, Grammar(text='other ::= "a"'))


def test_control_tokens_are_no_text_of_a_grammar(tmp_path: Path) -> None:
    """llama.cpp itself would read <|im_start|> as twelve characters that are no quote."""
    write_scripted_model(tmp_path / "runs_on.gguf", ("Hi", "<|im_start|>", "user"))
    with LlamaEngine(tmp_path / "runs_on.gguf", EngineSettings(n_ctx=256, threads=1)) as engine:
        ask(engine, "hello")
        text, reason = follow(engine, gbnf('root ::= [^"]{12}'))
        assert reason == "end_of_turn"
        assert len(text) == 12
        assert "<|" not in text


def test_the_grammar_begins_behind_the_thought(tmp_path: Path) -> None:
    path = tmp_path / "thinks.gguf"
    aside = ["<think>", "hm", "</think>", "{", "}", "<|im_end|>"]
    write_scripted_model(path, ("Hi",), asides=[aside], added={"<think>": CONTROL, "</think>": CONTROL})
    sampling = Sampling(temperature=0, grammar=gbnf('root ::= "{" [a-z] "}"'))
    with LlamaEngine(path, EngineSettings(n_ctx=256, threads=1)) as engine:
        engine.prefill(engine.vocabulary.tokenize("<|im_start|>assistant\n<think>", parse_special=True))
        events = list(engine.generate(sampling, ReplyLimits(max_tokens=20, thinking_tokens=20)))
        assert re.fullmatch(r"\{[a-z]\}", "".join(event.text for event in events if isinstance(event, Piece)))
        assert engine.vocabulary.tokenize("hm", parse_special=False, continues=True)[0] in engine.draft


def test_a_vocabulary_without_the_characters_is_an_error_and_the_next_reply_is_well(tmp_path: Path) -> None:
    path = tmp_path / "small.gguf"
    write_scripted_model(path, ("Hi", "<0xF0>"))
    grammar = gbnf("root ::= <[99999]>")
    with LlamaEngine(path, EngineSettings(n_ctx=256, threads=1)) as engine:
        ask(engine, "hello")
        with pytest.raises(GrammarError, match="no tokens for"):
            follow(engine, grammar)
        ask(engine, "hello")
        assert follow(engine, gbnf('root ::= "Hi"')) == ("Hi", "end_of_turn")


@pytest.mark.parametrize("seed", range(3))
def test_the_real_model_fills_in_a_schema(real_engine: LlamaEngine, seed: int) -> None:
    ask(real_engine, "Describe a fox as JSON with name, mood and age.")
    text, reason = follow(real_engine, json_schema(FOX), seed=seed)
    assert reason == "end_of_turn"
    fox = json.loads(text)
    assert list(fox) == ["name", "mood", "age"]
    assert fox["mood"] in ("happy", "sad")
    assert len(fox["name"]) <= 12
    assert isinstance(fox["age"], int)
    ask(real_engine, "Describe a fox as JSON with name, mood and age.")
    cut, reason = follow(real_engine, json_schema(FOX), seed=seed, max_tokens=6)
    assert reason == "max_tokens"
    assert text.startswith(cut)


def test_the_same_seed_follows_a_grammar_with_the_same_words(real_engine: LlamaEngine) -> None:
    def said(seed: int) -> str:
        ask(real_engine, "Say something.")
        return follow(real_engine, gbnf('root ::= [a-z ]{20,60} "."'), seed=seed)[0]

    assert said(1) == said(1) != said(2)
