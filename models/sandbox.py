"""The Jinja environment for chat templates: what transformers offers them, without files, and with everything counted.

Templates come out of model files and are code of strangers. Jinja's immutable sandbox keeps them from Python's objects;
here every loop round and every call is paid from a budget and the texts they add up are bounded, so that no template
runs on. Not covered: a template that builds huge texts by filters and string methods (`center`, `join`) may exhaust
memory. Imported lazily, by `models.template` only, because it imports Jinja.
"""

import json
from collections.abc import Iterable, Sized
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import Template, TemplateRuntimeError, nodes
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_STEPS = 100_000
"""Loop rounds and calls of one rendering: 100 messages take some hundreds; 100,000 take 30 ms."""

MAX_CHARS = 1_000_000
"""Of the result and of every text added up on the way."""

_LARGEST_FACTOR = 1 << 31


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Call `compile_bounded` for a template, and `restart` before each rendering."""

    intercepted_binops = frozenset({"+", "*", "**"})

    def __init__(self, now: datetime) -> None:
        # Not optimized: the optimizer would run constant expressions while compiling, unbounded.
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, optimized=False, extensions=[LoopControlExtension, _GenerationTag]
        )
        self._steps = 0
        self.filters["tojson"] = _to_json
        self.filters["counted"] = self._counted
        self.filters["short"] = _short
        del self.globals["lipsum"]  # filler text in any amount
        self.globals["range"] = self._range
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = now.strftime

    def compile_bounded(self, source: str) -> Template:
        """Compile with a toll on every loop and a limit on every concatenation."""
        tree = self.parse(source)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "counted", [], [], None, None)
        for node in list(tree.find_all(nodes.Node)):
            for field, value in node.iter_fields():
                if isinstance(value, nodes.Concat):
                    setattr(node, field, nodes.Filter(value, "short", [], [], None, None))
        return Template.from_code(self, self.compile(tree), self.make_globals(None))

    def restart(self) -> None:
        """A new rendering begins with a full budget."""
        self._steps = 0

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Called for every call a template makes."""
        self._spend(1)
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Called for every intercepted operator."""
        if operator == "+":
            return _short(left + right)
        if operator == "**" or not all(isinstance(x, int | float) and abs(x) < _LARGEST_FACTOR for x in (left, right)):
            raise TemplateRuntimeError(f"it uses {operator!r} on more than small numbers")
        return left * right

    def _spend(self, n_steps: int) -> None:
        self._steps += n_steps
        if self._steps > MAX_STEPS:
            raise TemplateRuntimeError(f"it takes more than {MAX_STEPS} steps")

    def _counted(self, items: Iterable[Any]) -> Iterable[Any]:
        if not isinstance(items, Sized):
            items = list(items)  # a filter's generator, over something already counted
        self._spend(len(items))
        return items

    def _range(self, *bounds: int) -> range:
        numbers = range(*bounds)
        self._spend(len(numbers))
        return numbers


class _GenerationTag(Extension):
    """`{% generation %}` marks the assistant's words for training; here its body is all there is."""

    tags = {"generation"}  # noqa: RUF012 - Jinja declares it as a plain set

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _short(value: Any) -> Any:
    if isinstance(value, Sized) and len(value) > MAX_CHARS:
        raise TemplateRuntimeError(f"it adds up more than {MAX_CHARS} characters")
    return value


def _to_json(  # the signature of transformers, which templates were written for
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateRuntimeError(message)
