"""Rules that begin with themselves are found, whatever they hide behind; all others pass. Ways to begin are counted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.gbnf import read_rules
from models.left_recursion import Beginnings, beginnings, left_recursion

JSON = r"""
root ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
value ::= root | "[" ws (value ("," ws value)*)? "]" ws | string | number | ("true" | "false" | "null") ws
string ::= "\"" ([^"\\] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= "-"? ([0-9] | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""

HARMLESS = [
    'root ::= "a" root | "b"',
    'root ::= ("a" | "b")* "."',
    'root ::= [ \\t]* value\nvalue ::= "[" (value ("," value)*)? "]"',
    'root ::= "root" # root ::= root\n',
    'root ::= "::=" | "\\"" root',
    'root ::= [^"\\]]+ root?',
    "root ::= .{2,} root | . root",
    "list ::= item list?\nitem ::= [a-z]\nroot ::= list",
    'root ::= x{1}+ root?\nx ::= "x"',
    JSON,
]


def found(grammar: str) -> tuple[str, ...]:
    return left_recursion(read_rules(grammar).all)


def counted(grammar: str) -> Beginnings:
    return beginnings(read_rules(grammar).all)


@pytest.mark.parametrize("grammar", HARMLESS)
def test_a_grammar_that_goes_forward_passes(grammar: str) -> None:
    assert found(grammar) == ()


@pytest.mark.parametrize(
    ("grammar", "names"),
    [
        ('root ::= root "a"', {"root"}),
        ('root ::= a\na ::= b "x"\nb ::= root | "y"', {"root", "a", "b"}),
        ('root ::= space root "a" | "b"\nspace ::= [ ]*', {"root"}),
        ('root ::= x root | "b"\nx ::= y\ny ::= z?\nz ::= "z"', {"root"}),
        ('root ::= ("" root)', {"root"}),
        ('root ::= "a"{0,2} root', {"root"}),
        ('root ::= ( x )*\nx ::= "a"?', {"root"}),
        ("root ::= x+\nx ::= [a]{0,}", {"root"}),
        ('root ::= x root "c" | "b"\nx ::= y\ny ::= []', {"root"}),
        ('root ::= x root "c" | "b"\nx ::= y\ny ::= [^]', {"root"}),
        ('root ::= x root "c" | "b"\nx ::= y\ny ::= "y"{1}*', {"root"}),
    ],
)
def test_a_rule_that_may_begin_with_itself_is_named(grammar: str, names: set[str]) -> None:
    assert set(found(grammar)) == names


@given(st.text(alphabet='ab":=()[]{}|*+?,0<>!.# \n\\', max_size=60))
@settings(deadline=None, max_examples=300)
def test_what_is_no_grammar_is_only_looked_at(text: str) -> None:
    rules = read_rules(text)
    if not left_recursion(rules.all):
        assert beginnings(rules.all).n_ways >= 0


def test_deep_brackets_and_long_texts_take_no_recursion_and_little_time() -> None:
    assert found("root ::= " + "(" * 5_000 + '"a"' + ")" * 5_000) == ()
    assert found("[" * 60_000) == ()
    assert found('"\\' * 30_000) == ()


def test_every_rule_that_may_be_empty_is_looked_at_once_for_each_place_where_it_stands() -> None:
    """In rounds over all rules this would take 16 million looks."""
    n = 4_000
    chain = "".join(f"r{i} ::= r{i + 1}\n" for i in range(n))
    assert set(found(f'root ::= r0 root "a" | "b"\n{chain}r{n} ::= ""')) == {"root"}


def test_ways_to_begin_multiply_from_rule_to_rule() -> None:
    doubling = "".join(f"a{i} ::= a{i + 1} | a{i + 1}\n" for i in range(60))
    assert counted(f'root ::= a0\n{doubling}a60 ::= "x"').n_ways == 2**60
    assert counted(f'root ::= "x" a0\n{doubling}a60 ::= "x"').n_ways == 2**60, "behind a character too"
    forked = "".join(f"a{i} ::= a{i + 1} | a{i + 1} a{i + 1}\n" for i in range(60))
    assert counted(f'root ::= a0\n{forked}a60 ::= "x"').n_ways == 2**60
    twice = "".join(f"a{i} ::= a{i + 1} a{i + 1}\n" for i in range(60))
    assert counted(f'root ::= a0\n{twice}a60 ::= "x"?').n_ways > 2**60
    assert counted(f'root ::= a0\n{twice}a60 ::= "x"').n_ways == 1


def test_what_may_be_skipped_is_a_way_for_each_time_it_may_be() -> None:
    few, many = counted('root ::= "x" ("a"?){0,10}'), counted('root ::= "x" ("a"?){0,100}')
    assert 10 < few.n_ways < many.n_ways / 5
    assert few.depth < many.depth / 5
    assert counted('root ::= "x" "a"{0,100}').n_ways < 10, "only the first of them can come next"
    assert counted('root ::= "x" y{100} "z"\ny ::= "a"?').n_ways > 100


def test_long_rules_and_long_ways_to_a_character_are_counted() -> None:
    long = 'r ::= "' + "a" * 1_000 + '"'
    assert counted("root ::= " + " | ".join(["r"] * 100) + "\n" + long).n_steps > 100_000
    chain = "".join(f"r{i} ::= r{i + 1}\n" for i in range(500))
    assert counted(f'root ::= r0\n{chain}r500 ::= "x"').depth > 500


def test_a_grammar_of_json_has_few_ways() -> None:
    json = counted(JSON)
    assert (json.n_ways < 100, json.n_steps < 2_000, json.depth < 20) == (True, True, True)
