"""A JSON object is read record by record, whatever its form and wherever the text is cut into pieces."""

import io
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import json_stream
from memory.json_stream import JsonStreamError, members


def reader(text: str, most: int) -> Callable[[int], str]:
    file = io.StringIO(text)
    return lambda n: file.read(min(n, most))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(
    document=st.dictionaries(st.text(), VALUES, max_size=4),
    most=st.integers(1, 40),
    indent=st.sampled_from([None, 0, 3]),
)
def test_what_json_reads_whole_is_read_in_pieces(document: dict[str, object], most: int, indent: int | None) -> None:
    expected: list[tuple[str, object]] = []
    for name, value in document.items():
        expected += [(name, element) for element in value] if isinstance(value, list) else [(name, value)]
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    assert list(members(reader(text, most))) == expected


@settings(deadline=None, max_examples=60)
@given(cut=st.integers(0, 60), most=st.integers(1, 9))
def test_a_text_cut_anywhere_is_said_to_be(cut: int, most: int) -> None:
    text = '{"a": [1, 2.5, {"b": "\\u00e9"}], "c": true, "n": -12}'
    if cut >= len(text):
        return
    with pytest.raises(JsonStreamError):
        list(members(reader(text[:cut], most)))


@pytest.mark.parametrize("text", ["[]", "{1: 2}", '{"a" 1}', '{"a": 1} x', '{"a": [1 2]}', '{"a": tru}', '{"a": 1,, }'])
def test_what_is_no_object_is_said(text: str) -> None:
    with pytest.raises(JsonStreamError, match=r"\(at letter \d+\)$"):
        list(members(reader(text, 100)))


def test_a_record_without_end_does_not_fill_the_ram(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "MOST_LETTERS", 1000)
    monkeypatch.setattr(json_stream, "CHUNK_LETTERS", 100)
    with pytest.raises(JsonStreamError, match="a record is too long"):
        list(members(reader('{"a": "' + "x" * 100_000, 100)))
