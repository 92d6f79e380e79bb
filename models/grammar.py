"""Grammars: GBNF texts and JSON schemas that a reply must follow, checked before anything else is touched.

llama.cpp has the parser and the state (`llama_sampler_init_grammar`); schemas are converted by llama-cpp-python. This
module makes an exception out of a refusal and keeps the state of one reply. How a token is chosen with it is settled in
`models.choosing`.

What a grammar costs is bounded up to the first character of a reply: its length, the depth of its brackets, what its
repetitions become, and the ways in which it can begin. What it costs later is not: where the same text can be read in
many ways (`s ::= "a" s s | "a"`), llama.cpp keeps every reading of the reply so far, and a long reply takes time and
memory without a bound. Grammars are for those who run Familiar to write, not for those who speak with it.
"""

import ctypes
import json
import os
import re
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

from models.errors import GrammarError
from models.gbnf import read_rules
from models.left_recursion import beginnings, left_recursion
from models.native import llama_cpp
from models.printable import clipped

_MAX_BYTES = 65_536
"""Of a grammar; that of JSON itself has 700, a schema with a hundred fields some 10,000."""

_MAX_DEPTH = 600
"""Of brackets in a grammar, which llama.cpp reads by recursion: its stack of 8 MB ends between 5,000 and 20,000."""

_MAX_ELEMENTS = 1_000_000
"""Of a grammar with its repetitions written out: 40 MB and 0.1 s. A hundred fields of up to 500 characters have 0.45
million; `"a"{0,1990}` a thousand times over, which is ten, took more than 400 MB."""

_MAX_WAYS = 10_000
"""To go on from one place in a grammar to the next character: so many stacks, each compared with all others, in 50 ms.
A list of 3,000 words has 3,000; what 60 rules such as `a ::= b | b` have would take longer than the world has."""

_MAX_STEPS = 50_000_000
"""Elements that llama.cpp looks at in search of left recursion, some 60 ms; the grammar of JSON takes a thousand."""

_MAX_CHAIN = 2_000
"""Of rules that begin with one another, which llama.cpp follows by recursion: half a megabyte of stack, which is what
threads have on some systems, takes this and twice as many."""

_MAX_SCHEMA_DEPTH = 64
"""Of a schema, which is converted by recursion."""

_MAX_REPETITIONS = 500
"""Of a schema's items and characters: they are written out, each one bracket deeper than the one before."""

_ROOT = b"root"
_LITERALS = re.compile(r'"(?:\\.|[^"\\])*"?|\[(?:\\.|[^\]\\])*\]?|#[^\n]*', re.DOTALL)
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength")
_BRACES = re.compile(r"\{[^}]*\}")
_NUMBERS = re.compile(r"[0-9]+")
_PARSER_SAYS = b"parse: error parsing grammar: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """A grammar that llama.cpp accepts: made by `gbnf` or `json_schema` only. `text` is GBNF with a rule `root`."""

    text: str


def gbnf(text: str) -> Grammar:
    """A grammar in llama.cpp's GBNF (its grammars/README.md), tokens by name excepted: it serves every model.

    Raises GrammarError with llama.cpp's reason when it does not parse or has no rule `root`.
    """
    if not text.strip() or "\0" in text:
        raise GrammarError("the grammar is empty or has a NUL character in it; it needs a rule such as root ::= [a-z]+")
    if len(text.encode("utf-8", "replace")) > _MAX_BYTES:
        raise GrammarError(f"the grammar is longer than {_MAX_BYTES} bytes; make it simpler")
    if _depth(_LITERALS.sub("", text)) > _MAX_DEPTH:
        raise GrammarError(f"the grammar has brackets more than {_MAX_DEPTH} deep; give inner ones rules of their own")
    _check_rules(text)
    llama = llama_cpp()
    data = text.encode("utf-8", "replace")
    with llama.standard_error, _parser_complaints(data) as complaints:
        llama.take_complaints()
        sampler = llama.lib.llama_sampler_init_grammar(None, data, _ROOT)
        reason = llama.take_complaints()
    if not sampler:
        reasons = "; ".join([*complaints, reason])
        raise GrammarError(f"the grammar cannot be used: {reasons}")
    llama.lib.llama_sampler_free(sampler)
    return Grammar(text=text)


def json_schema(schema: Mapping[str, Any] | str) -> Grammar:
    """The grammar of the JSON values that a schema allows, with its properties in their order; what GBNF cannot say
    (bounds of numbers, for instance) is not enforced. References lead to places in the schema itself only.

    Raises GrammarError when it is no JSON, no schema or asks for something unknown.
    """
    llama_cpp()  # its error is the clearer one where the library cannot be loaded
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        text = schema if isinstance(schema, str) else json.dumps(schema)
        if len(text) > _MAX_BYTES or _depth(text) > _MAX_SCHEMA_DEPTH:
            raise ValueError(f"it has more than {_MAX_BYTES} characters or is more than {_MAX_SCHEMA_DEPTH} deep")
        _check_repetitions(json.loads(text))
        converted = json_schema_to_gbnf(text)
    except (AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise GrammarError(f"the JSON schema cannot be used: {reason}") from error
    return gbnf(converted)


class GrammarState:
    """Where in a grammar one reply is. Freed when nobody holds it any more."""

    def __init__(self, vocab: Any, grammar: Grammar) -> None:
        """`vocab` is the `llama_vocab` pointer of the model, which must live as long.

        Raises GrammarError for a text that was never checked."""
        self._lib = lib = llama_cpp().lib
        self._sampler = lib.llama_sampler_init_grammar(vocab, grammar.text.encode("utf-8", "replace"), _ROOT)
        if not self._sampler:
            raise GrammarError("the grammar does not parse: make it by gbnf or json_schema, which say why")
        self._free = weakref.finalize(self, lib.llama_sampler_free, self._sampler)

    def restrict(self, candidates: Any) -> None:
        """Set the logits of the candidates that cannot come next to -inf; an end of turn can only where the grammar is
        complete. Takes 5 µs for one candidate, 3.4 ms for 49,152."""
        self._lib.llama_sampler_apply(self._sampler, ctypes.byref(candidates))

    def accept(self, token: int) -> None:
        """Go on behind a token, which must be one that can come next: any other ends the process."""
        self._lib.llama_sampler_accept(self._sampler, token)


def _check_rules(text: str) -> None:
    """Refuse what llama.cpp would follow for too long, or to the end of the process."""
    rules = read_rules(text)
    if rules.backwards:
        raise GrammarError(f"a repetition in the grammar ends before it begins: {rules.backwards[:40]}")
    if rules.n_elements > _MAX_ELEMENTS:
        raise GrammarError("the repetitions in the grammar make it too long; repeat less often, or shorter things")
    if cycle := left_recursion(rules.all):
        path = clipped(" → ".join([*cycle, cycle[0]]), 200)
        raise GrammarError(f"a rule of the grammar begins with itself: {path}; put a character before the repetition")
    begins = beginnings(rules.all)
    if begins.n_ways > _MAX_WAYS or begins.n_steps > _MAX_STEPS or begins.depth > _MAX_CHAIN:
        raise GrammarError(
            "the grammar can begin in too many ways, or its rules lead through too many others to a character; "
            "leave out alternatives that begin alike"
        )


def _check_repetitions(schema: Any) -> None:
    """Refuse counts that would be written out without end."""
    todo = [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo += node
        if not isinstance(node, dict):
            continue
        todo += node.values()
        counts = [node[key] for key in _COUNTS if isinstance(node.get(key), int | float)]
        for braces in _BRACES.findall(str(node.get("pattern", ""))):
            counts += [int(number[:9]) for number in _NUMBERS.findall(braces)]
        if any(count > _MAX_REPETITIONS for count in counts):
            raise ValueError(f"something is repeated {max(counts):.0f} times; at most {_MAX_REPETITIONS} are possible")


def _depth(text: str) -> int:
    """How deep brackets of any kind nest in a text."""
    depth = deepest = 0
    for char in text:
        if char in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in ")]}":
            depth -= 1
    return deepest


@contextmanager
def _parser_complaints(grammar: bytes) -> Iterator[list[str]]:
    """Collect what the parser says of a grammar. It says it on file descriptor 2 with the whole grammar, not in
    llama.cpp's log, so that is turned aside for the time of the call (0.1 ms); what others wrote meanwhile goes on.
    Where standard error is closed or there is no room for a file, nothing is collected.

    For whoever holds `LlamaCpp.standard_error`: of two at once, each would bring back what the other had turned aside.
    """
    complaints: list[str] = []
    with ExitStack() as stack:
        with suppress(OSError):
            standard_error = os.dup(2)  # first: where 2 is closed, the file itself would become 2
            stack.callback(os.close, standard_error)
            aside = stack.enter_context(tempfile.TemporaryFile())
            os.dup2(aside.fileno(), 2)
            stack.callback(_bring_back, standard_error, aside, grammar, complaints)
        yield complaints


def _bring_back(standard_error: int, aside: IO[bytes], grammar: bytes, complaints: list[str]) -> None:
    os.dup2(standard_error, 2)
    aside.seek(0)
    before, mark, behind = aside.read().partition(_PARSER_SAYS)
    reason, _, after = behind.partition(b"\n\n" + grammar + b"\n")
    if mark:
        complaints.append(clipped(reason.decode("utf-8", "replace"), 200))
    if before or after:
        with suppress(OSError):  # nobody reads it any more
            os.write(2, before + after)
