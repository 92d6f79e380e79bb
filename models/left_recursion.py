"""Rules of a GBNF grammar that begin with themselves, which llama.cpp would follow until memory is gone.

It looks for them itself, but takes a rule for never empty that is so through another one: `root ::= space root "a" |
"b"` with `space ::= [ ]*` passes, and ends the process. Pure, and generous to what is no grammar: refusing that is left
to llama.cpp. Nothing here recurses, whatever the depth of the brackets.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

_WORD = re.compile(
    r'(?P<text>"(?:\\.|[^"\\])*"?)|(?P<char>\[(?:\\.|[^\]\\])*\]?|\.|!?<[^>]*>?)|#[^\n]*'
    r"|(?P<head>[A-Za-z0-9-]+(?=[ \t]*::=))|::=|(?P<name>[A-Za-z0-9-]+)|(?P<mark>[|()*+?]|\{[^}]*\}?)",
    re.DOTALL,
)

_CHARACTER = ""  # in place of a rule's name: something that is not empty

_Alternatives = list[list[str]]


def left_recursion(grammar: str) -> tuple[str, ...]:
    """The names of rules that lead back to the first of them without a character between; empty if there are none."""
    rules = _Rules()
    for word in _WORD.finditer(grammar):
        rules.take(word.lastgroup or "", word.group())
    empty = _empty_rules(rules.all)
    graph = {name: set(_beginnings(alternatives, empty)) for name, alternatives in rules.all.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return tuple(dict.fromkeys(name.partition("/")[0] for name in reversed(cycle)))
    return ()


@dataclass(slots=True)
class _Rules:
    """Collects rules as alternatives of names; brackets and repetitions become rules of their own, as in llama.cpp."""

    all: dict[str, _Alternatives] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)  # the rule that is being read, and the brackets in it

    def take(self, kind: str, word: str) -> None:
        if kind == "head":
            self._open = [word]
            self.all[word] = [[]]
        elif not self._open:
            return
        elif kind == "name":
            self._last.append(word)
        elif kind == "char" or (kind == "text" and word != '""'):
            self._last.append(_CHARACTER)
        elif kind == "mark":
            self._mark(word)

    @property
    def _last(self) -> list[str]:
        return self.all[self._open[-1]][-1]

    def _mark(self, mark: str) -> None:
        if mark == "|":
            self.all[self._open[-1]].append([])
        elif mark == "(":
            self._open.append(self._new([[]]))
        elif mark == ")" and len(self._open) > 1:
            closed = self._open.pop()
            self._last.append(closed)
        elif self._last and mark not in "()":
            self._repeat(mark)

    def _repeat(self, mark: str) -> None:
        item = self._last.pop()
        fewest, _, most = mark.strip("{} ").partition(",")
        at_least_one = mark == "+" or (mark[0] == "{" and fewest.strip() not in ("", "0"))
        without_end = mark in "*+" or (mark[0] == "{" and "," in mark and not most.strip())
        rest = self._new([[item], []])
        if without_end:
            self.all[rest][0].append(rest)
        self._last.extend([item, rest] if at_least_one else [rest])

    def _new(self, alternatives: _Alternatives) -> str:
        name = f"{self._open[0]}/{len(self.all)}"  # no name in a grammar has a slash
        self.all[name] = alternatives
        return name


def _empty_rules(rules: dict[str, _Alternatives]) -> set[str]:
    """The rules that may be nothing at all."""
    empty: set[str] = set()
    while True:
        more = {
            name
            for name, alternatives in rules.items()
            if name not in empty and any(all(item in empty for item in one) for one in alternatives)
        }
        if not more:
            return empty
        empty |= more


def _beginnings(alternatives: _Alternatives, empty: set[str]) -> Iterator[str]:
    """The rules with which one of the alternatives can begin."""
    for items in alternatives:
        for item in items:
            if item != _CHARACTER:
                yield item
            if item not in empty:
                break
