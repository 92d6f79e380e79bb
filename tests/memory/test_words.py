"""What of an utterance is searched for."""

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.words import MAX_QUERY_WORDS, query_words, segmented, storable


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("What's my dog's name?", ["dog", "name"]),
        ("Don\u2019t you remember the T-Rex?", ["rex"]),
        ("Dinosaurs, DINOSAURS and dinosaurs!", ["dinosaurs"]),
        ("I am 7", ["7"]),
        ("", []),
        ("oh, and what did you say then?", []),
        ('"x" OR (NEAR dragon* AND body:y)', ["near", "dragon", "body"]),
        ("straße l'été", ["straße", "l'été"]),
        ("हिन्दी", ["हिन्दी"]),
        ("我喜欢恐龙", ["我喜", "喜欢", "欢恐", "恐龙"]),
        ("猫", ["猫"]),
        ("恐竜 2 dinos", ["恐竜", "2", "dinos"]),
    ],
)
def test_significant_words_are_kept_in_order_each_once(query: str, words: list[str]) -> None:
    assert [word.shown for word in query_words(query)] == words


def test_a_long_utterance_is_searched_for_by_its_first_words() -> None:
    words = query_words(" ".join(f"word{n}" for n in range(100)))
    assert [word.shown for word in words] == [f"word{n}" for n in range(MAX_QUERY_WORDS)]


def test_characters_of_unspaced_scripts_are_set_apart_and_others_are_left() -> None:
    assert segmented("I like 恐龙, é!").split() == ["I", "like", "恐", "龙", ",", "é!"]


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    assert storable("a\ud800b") == "a\ufffdb"


@settings(deadline=None, max_examples=300)
@given(query=st.text(max_size=60) | st.text(alphabet="ab'\"*:^()+-{}NEAROT \u2019我喜ท\u0e31\u0000", max_size=40))
def test_no_text_makes_a_query_that_fts5_refuses(query: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5(x)")
    connection.execute("INSERT INTO t VALUES ('a b')")
    for word in query_words(query):
        connection.execute("SELECT rowid FROM t WHERE t MATCH ?", (word.phrase,)).fetchall()
        connection.execute("SELECT rowid FROM t WHERE t MATCH ?", (f"{{x}} : {word.phrase}",)).fetchall()
    connection.close()
