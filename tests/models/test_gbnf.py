"""Grammars are read as llama.cpp builds them: brackets and repetitions become rules, copies are counted."""

import pytest

from models.gbnf import Item, Rule, read_rules


def test_brackets_and_repetitions_become_rules_of_their_own() -> None:
    rules = read_rules('root ::= ("ab" | x)* y{2,4} # y\nx ::= [a-z]')
    assert rules.all == {
        "root": Rule([[Item("root/2", 1), Item("y", 2), Item("root/3", 1)]]),
        "root/1": Rule([[Item("", 2)], [Item("x", 1)]]),
        "root/2": Rule([[Item("root/1", 1), Item("root/2", 1)], []]),
        "root/3": Rule([[Item("y", 1)], []], n_rules=2),
        "x": Rule([[Item("", 3)]]),
    }


def test_a_repetition_is_about_all_that_the_last_symbol_became() -> None:
    rules = read_rules("root ::= x y+ {0,}")
    assert rules.all["root"].alternatives == [[Item("x", 1), Item("root/2", 1)]]
    assert rules.all["root/2"].alternatives == [[Item("y", 1), Item("root/1", 1), Item("root/2", 1)], []]


@pytest.mark.parametrize("nothing", ['""', "[]", "[^]"])
def test_what_has_no_character_is_no_item(nothing: str) -> None:
    assert read_rules(f"root ::= {nothing}").all["root"].alternatives == [[]]


@pytest.mark.parametrize(
    ("grammar", "n_at_least", "n_at_most"),
    [
        ('root ::= "abc"', 3, 10),
        ('root ::= "abc"{1000}', 3_000, 3_010),
        ('root ::= "abc"{0,1000}', 3_000, 12_000),
        ('root ::= ("abc" | "d"){10}{10}', 100, 200),
        ('root ::= "a"{0}', 0, 10),
        ('root ::= "a"{99999999999999999999}', 10**8, 10**12),
        ('root ::= "a"{' + "9" * 6_000 + "}", 10**8, 10**12),
        ('root ::= "a"{000000000000000000003}', 3, 10),
        ("n" * 8_000 + " ::= " + '("a")' * 100, 100_000, 200_000),
    ],
)
def test_the_size_is_that_of_all_copies(grammar: str, n_at_least: int, n_at_most: int) -> None:
    assert n_at_least <= read_rules(grammar).n_elements <= n_at_most


def test_a_repetition_that_ends_before_it_begins_is_noticed() -> None:
    assert read_rules('root ::= "a"{5,3}').backwards == "{5,3}"
    assert read_rules('root ::= "a"{3,5} "b"{4,} "c"{0,0}').backwards == ""
