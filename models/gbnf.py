"""A GBNF grammar as llama.cpp builds it: its rules, those that brackets and repetitions become, and how much they are.

Pure, and generous to what is no grammar: refusing that is left to llama.cpp. Nothing here recurses, whatever the depth
of the brackets, and nothing is written out: a thousand copies of an item are a number. What the rules lead to is worked
out in `models.left_recursion`.
"""

import re
from dataclasses import dataclass, field

_WORD = re.compile(
    r'(?P<text>"(?:\\.|[^"\\])*"?)|(?P<char>\[\^?(?:\\.|[^\]\\])*\]?|\.|!?<[^>]*>?)|#[^\n]*'
    r"|(?P<head>[A-Za-z0-9-]+(?=[ \t]*::=))|::=|(?P<name>[A-Za-z0-9-]+)|(?P<mark>[|()*+?]|\{[^}]*\}?)",
    re.DOTALL,
)
_COUNTS = re.compile(r"\{\s*(?P<fewest>[0-9]+)\s*(?P<comma>,\s*(?P<most>[0-9]*)\s*)?\}")
_NOTHING = ('""', "[]", "[^]")
_MOST_DIGITS = 9  # of a count: no count that long is allowed, and Python takes its time for longer ones


@dataclass(frozen=True, slots=True)
class Item:
    """One thing after another `n` times: characters where `name` is empty, else the rule of that name."""

    name: str
    n: int


@dataclass(frozen=True, slots=True)
class Rule:
    """Its alternatives, each a sequence of items. `n_rules` above 1: it is the first of a chain of so many rules, each
    of which may be the alternatives' items and then the next, or nothing."""

    alternatives: list[list[Item]]
    n_rules: int = 1


@dataclass(slots=True)
class Rules:
    """All rules by name, those for brackets and repetitions with a slash in theirs. `n_elements` is an upper
    bound of what llama.cpp makes of it, 18 to 40 bytes each. `backwards` is a repetition such as {5,3}, if there is
    one, over which llama.cpp ends the process."""

    all: dict[str, Rule] = field(default_factory=dict)
    n_elements: int = 0
    backwards: str = ""
    _open: list[str] = field(default_factory=list)  # the rule that is being read, and the brackets in it
    _last_from: int = 0  # where in the open sequence the last symbol begins, which a repetition is about

    def take(self, kind: str, word: str) -> None:
        """Go on behind this word, a match of one of the groups of the lexer."""
        if kind == "head":
            self._open = [word]
            self.all[word] = Rule([[]])
            self._last_from = 0
        elif not self._open:
            return
        elif kind == "name":
            self._append(Item(word, 1))
        elif kind in ("text", "char"):
            self._append(Item("", 0 if word in _NOTHING else max(1, len(word) - 2)))
        elif kind == "mark":
            self._mark(word)

    @property
    def _sequence(self) -> list[Item]:
        return self.all[self._open[-1]].alternatives[-1]

    def _append(self, item: Item) -> None:
        self._last_from = len(self._sequence)
        if item.n:
            self._sequence.append(item)
            self.n_elements += item.n

    def _mark(self, mark: str) -> None:
        if mark == "|":
            self.all[self._open[-1]].alternatives.append([])
            self._last_from = 0
            self.n_elements += 1
        elif mark == "(":
            self._open.append(self._new(Rule([[]])))
            self._last_from = 0
        elif mark == ")" and len(self._open) > 1:
            self._append(Item(self._open.pop(), 1))
        elif mark not in "()" and self._sequence[self._last_from :]:
            self._repeat(mark)

    def _repeat(self, mark: str) -> None:
        fewest, most = _counts(mark)
        if most is not None and most < fewest:
            self.backwards = mark
            return
        sequence, start = self._sequence, self._last_from
        items = sequence[start:]
        n = sum(item.n for item in items)
        sequence[start:] = [Item(item.name, item.n * fewest) for item in items if fewest]
        self.n_elements += n * fewest - n
        n_optional = 1 if most is None else most - fewest
        if n_optional:
            name = self._new(Rule([items, []], n_optional), n_elements=n + 2)
            if most is None:
                items.append(Item(name, 1))
            sequence.append(Item(name, 1))
            self.n_elements += 1

    def _new(self, rule: Rule, n_elements: int = 0) -> str:
        """Add a rule that has no name in the grammar; llama.cpp derives a name for each from that of the open one."""
        name = f"{self._open[0]}/{len(self.all)}"  # no name in a grammar has a slash
        self.all[name] = rule
        self.n_elements += rule.n_rules * (n_elements + 2 + len(self._open[0]) // 8)
        return name


def read_rules(grammar: str) -> Rules:
    """The rules of a GBNF text."""
    rules = Rules()
    for word in _WORD.finditer(grammar):
        rules.take(word.lastgroup or "", word.group())
    return rules


def _counts(mark: str) -> tuple[int, int | None]:
    """How often at least and at most; None: without end."""
    if mark in "*+?":
        return int(mark == "+"), 1 if mark == "?" else None
    found = _COUNTS.fullmatch(mark)
    if found is None:
        return 1, 1  # no grammar
    fewest = int(found["fewest"].lstrip("0")[:_MOST_DIGITS] or 0)
    if found["comma"] is None:
        return fewest, fewest
    return fewest, int(found["most"].lstrip("0")[:_MOST_DIGITS] or 0) if found["most"] else None
