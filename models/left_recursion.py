"""What lies between the rules of a grammar and their first characters: rules that begin with themselves, and too many
ways to begin. llama.cpp would follow both, until memory is gone or for longer than anybody lives.

It looks for left recursion itself, but takes a rule for never empty that is so through another one: `root ::= space
root "a" | "b"` with `space ::= [ ]*` passes, and ends the process. And it looks by following every path, of which 60
rules such as `a ::= b | b` have 2^60. Pure; nothing here recurses.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from models.gbnf import Item, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginnings:
    """Upper bounds of what llama.cpp does with a grammar before the first character of a reply. `n_ways`: from one
    place in a rule to a character in it or in rules that it leads to; so many stacks it may keep. `n_steps`: elements
    looked at when it searches all rules for left recursion. `depth`: of that recursion."""

    n_ways: int
    n_steps: int
    depth: int


_ONE_WAY = Beginnings(n_ways=1, n_steps=1, depth=1)
"""A character; and a rule that is not there, of which llama.cpp will complain."""


def left_recursion(rules: Mapping[str, Rule]) -> tuple[str, ...]:
    """The names of rules that lead back to the first of them without a character between; empty if there are none."""
    try:
        TopologicalSorter(_graph(rules, _empty_rules(rules))).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return tuple(dict.fromkeys(name.partition("/")[0] for name in reversed(cycle)))
    return ()


def beginnings(rules: Mapping[str, Rule]) -> Beginnings:
    """How much there is to follow in rules without left recursion, of which there must be none."""
    empty = _empty_rules(rules)
    known: dict[str, Beginnings] = {}
    for name in TopologicalSorter(_graph(rules, empty)).static_order():
        known[name] = _beginnings_of(rules[name], known, empty) if name in rules else _ONE_WAY
    places = (_most_ways(items, known, empty) for rule in rules.values() for items in rule.alternatives)
    return Beginnings(
        n_ways=max([*places, *(one.n_ways for one in known.values())], default=0),
        # Each rule may be where the search begins.
        n_steps=sum(known[name].n_steps * rule.n_rules for name, rule in rules.items()),
        depth=max((one.depth for one in known.values()), default=0),
    )


def _beginnings_of(rule: Rule, known: Mapping[str, Beginnings], empty: set[str]) -> Beginnings:
    """Those of one rule, from what is known of the rules that it can begin with."""
    n_ways, depth = 0, 0
    n_steps = sum(item.n for items in rule.alternatives for item in items) + len(rule.alternatives)
    for items in rule.alternatives:
        n_ways += _most_ways([*_first_items(items, empty)], known, empty)
        for item in _first_items(items, empty):
            if item.name:
                n_steps += known[item.name].n_steps * (item.n if item.name in empty else 1)
                depth = max(depth, known[item.name].depth)
    # Of a chain, all that follow are beginnings too if what is repeated may be nothing.
    n_rules = rule.n_rules if all(item.name in empty for item in rule.alternatives[0]) else 1
    return Beginnings(n_ways=n_ways * n_rules, n_steps=n_steps * n_rules, depth=depth + n_rules)


def _most_ways(items: list[Item], known: Mapping[str, Beginnings], empty: set[str]) -> int:
    """The most ways from one place in a sequence: over items that may be empty into the next, or to its end."""
    most = n_ways = 0
    for item in items:
        n_times = item.n if item.name in empty else 1
        n_ways += known.get(item.name, _ONE_WAY).n_ways * n_times
        most = max(most, n_ways)
        if item.name not in empty:
            n_ways = 0
    return max(most, n_ways + 1) if not items or items[-1].name in empty else most


def _graph(rules: Mapping[str, Rule], empty: set[str]) -> dict[str, set[str]]:
    """The rules with which each rule can begin."""
    return {
        name: {item.name for items in rule.alternatives for item in _first_items(items, empty) if item.name}
        for name, rule in rules.items()
    }


def _first_items(items: list[Item], empty: set[str]) -> Iterator[Item]:
    """The items with which a sequence can begin: those that may be empty, and the next."""
    for item in items:
        yield item
        if item.name not in empty:
            break


def _empty_rules(rules: Mapping[str, Rule]) -> set[str]:
    """The rules that may be nothing at all: each is looked at once for every place where it stands."""
    waiting: dict[str, list[tuple[str, list[str]]]] = defaultdict(list)  # alternatives by the item they depend on next
    empty: set[str] = set()
    todo = [
        (name, [item.name for item in reversed(items)]) for name, rule in rules.items() for items in rule.alternatives
    ]
    while todo:
        name, rest = todo.pop()
        while rest and rest[-1] in empty:
            rest.pop()
        if rest:
            waiting[rest[-1]].append((name, rest))
        elif name not in empty:
            empty.add(name)
            todo += waiting.pop(name, [])
    return empty
