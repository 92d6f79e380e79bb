"""Rules that begin with themselves are found, whatever they hide behind; all others pass."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.left_recursion import left_recursion

HARMLESS = [
    'root ::= "a" root | "b"',
    'root ::= ("a" | "b")* "."',
    'root ::= [ \\t]* value\nvalue ::= "[" (value ("," value)*)? "]"',
    'root ::= "root" # root ::= root\n',
    'root ::= "::=" | "\\"" root',
    'root ::= [^"\\]]+ root?',
    "root ::= .{2,} root | . root",
    "list ::= item list?\nitem ::= [a-z]\nroot ::= list",
]


@pytest.mark.parametrize("grammar", HARMLESS)
def test_a_grammar_that_goes_forward_passes(grammar: str) -> None:
    assert left_recursion(grammar) == ()


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
    ],
)
def test_a_rule_that_may_begin_with_itself_is_named(grammar: str, names: set[str]) -> None:
    assert set(left_recursion(grammar)) == names


@given(st.text(alphabet='ab":=()[]{}|*+?,0<>!.# \n\\', max_size=60))
@settings(deadline=None, max_examples=300)
def test_what_is_no_grammar_is_only_looked_at(text: str) -> None:
    assert isinstance(left_recursion(text), tuple)


def test_deep_brackets_and_long_texts_take_no_recursion_and_little_time() -> None:
    assert left_recursion("root ::= " + "(" * 5_000 + '"a"' + ")" * 5_000) == ()
    assert left_recursion("[" * 60_000) == ()
    assert left_recursion('"\\' * 30_000) == ()
