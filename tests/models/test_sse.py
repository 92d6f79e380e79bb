"""Server-sent events: the same however the stream is cut, by the rules of the HTML standard, and never too long."""

from itertools import chain, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import RemoteError
from models.sse import ServerSentEvent, SseParser


def read(*chunks: bytes) -> list[tuple[str, str]]:
    parser = SseParser()
    return [(event.event, event.data) for chunk in chunks for event in parser.feed(chunk)]


def data(*events: str) -> list[tuple[str, str]]:
    return [("message", text) for text in events]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        # The three examples of the standard, but for what it says of ids.
        ("data: YHOO\ndata: +2\ndata: 10\n\n", data("YHOO\n+2\n10")),
        (": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
         data("first event", "second event", " third event")),
        ("data\n\ndata\ndata\n\ndata:", data("", "\n")),
        ("data:test\n\ndata: test\n\n", data("test", "test")),
        ("data: a\r\n\r\ndata: b\r\rdata: c\n\n", data("a", "b", "c")),
        ("\ufeffdata: a\n\n", data("a")),
        ("event: ping\ndata: a\n\ndata: b\n\n", [("ping", "a"), ("message", "b")]),
        ("event: ping\n\ndata: b\n\n", data("b")),
        (": keep-alive\n\n\n\n:\n\n", []),
        ("retry: 5\nunknown: x\ndata: a\n\n", data("a")),
        ('error: {"code":400}\n\n', [("error", '{"code":400}')]),
        ("data: never ended\n", []),
    ],
)  # fmt: skip
def test_events_are_read_as_the_standard_says(stream: str, events: list[tuple[str, str]]) -> None:
    assert read(stream.encode()) == events


def test_a_character_may_be_cut_in_two() -> None:
    stream = "data: 🦊 é\n\n".encode()
    assert read(*(bytes([byte]) for byte in stream)) == data("🦊 é")


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert read(b"data: a\xffb\n\n") == data("a\ufffdb")


FIELDS = [b"data: a", b"data:", b"data", b"data: \xf0\x9f\xa6\x8a", b"event: x", b"error: e"]
OTHERS = [b": c", b"\xff", b"", b"\xef\xbb\xbf"]
LINES = st.lists(st.tuples(st.sampled_from(FIELDS + OTHERS), st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=12)


@settings(deadline=None, max_examples=300)
@given(
    LINES.map(lambda lines: b"".join(map(b"".join, lines))),
    st.lists(st.integers(min_value=0, max_value=120), max_size=10),
)
def test_any_chunking_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    borders = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(borders)]
    assert read(*chunks) == read(stream) == read(*(bytes([byte]) for byte in stream))


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 60, b"data: 4567890\n" * 9, b":" * 60])
def test_what_is_too_long_is_refused_wherever_it_is_cut(stream: bytes) -> None:
    for size in (1, 7, 1000):
        parser = SseParser(max_bytes=50)
        assert list(parser.feed(b"data: before\n\n")) == [ServerSentEvent(event="message", data="before")]
        parts = (stream[start : start + size] for start in range(0, len(stream), size))
        with pytest.raises(RemoteError, match="of more than 50 bytes"):
            list(chain.from_iterable(map(parser.feed, parts)))


def test_what_was_complete_before_the_refusal_is_given() -> None:
    events = SseParser(max_bytes=50).feed(b"data: before\n\n" + b"x" * 60)
    assert next(events).data == "before"
    with pytest.raises(RemoteError):
        next(events)


def test_long_streams_of_short_events_are_not_too_long() -> None:
    parser = SseParser(max_bytes=50)
    assert len(list(parser.feed(b"data: 1234567890\n\n" * 100))) == 100
