"""The frame codec: whole frames in, whole frames out, and nothing else whatever the line does to them."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cobs import cobs
from fastcrc.crc16 import mcrf4xx
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.errors import FrameError
from firmware_bridge.frames import (
    AVR_PAYLOAD,
    MAX_PAYLOAD,
    BadFrame,
    BadReason,
    Frame,
    FrameDecoder,
    FrameType,
    encode,
)

_VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
_BYTE = st.integers(0, 255)


def frames(max_payload: int = MAX_PAYLOAD) -> st.SearchStrategy[Frame]:
    """Any frame there can be."""
    return st.builds(
        Frame,
        type=st.sampled_from(FrameType),
        seq=_BYTE,
        ack=_BYTE,
        sid=_BYTE,
        ack_req=st.booleans(),
        is_ack=st.booleans(),
        more=st.booleans(),
        payload=st.binary(max_size=max_payload)
        | st.binary(max_size=8).map(lambda some: some.ljust(max_payload, b"\0")),
    )


def _frame_of(vector: dict[str, Any]) -> Frame:
    fields = {name: vector[name] for name in ("sid", "seq", "ack", "ack_req", "is_ack", "more")}
    return Frame(type=FrameType[vector["type"]], payload=bytes.fromhex(vector["payload"]), **fields)


def test_the_crc_is_the_published_one() -> None:
    check = _VECTORS["crc_check"]
    assert mcrf4xx(bytes.fromhex(check["data"])) == check["crc"]


@pytest.mark.parametrize("vector", _VECTORS["frames"], ids=lambda vector: str(vector["name"]))
def test_known_frames_encode_and_decode_to_the_byte(vector: dict[str, Any]) -> None:
    frame = _frame_of(vector)
    assert encode(frame).hex() == vector["wire"]
    assert FrameDecoder().push(bytes.fromhex(vector["wire"])) == [frame]


@pytest.mark.parametrize(
    "vector",
    [vector for vector in _VECTORS["refused"] if vector["reason"] != "payload"],
    ids=lambda vector: str(vector["name"]),
)
def test_known_bad_frames_are_refused_with_their_reason_and_counted(vector: dict[str, Any]) -> None:
    decoder = FrameDecoder()
    (bad,) = decoder.push(bytes.fromhex(vector["wire"]))
    assert isinstance(bad, BadFrame)
    assert bad.reason == vector["reason"]
    assert (decoder.n_frames, dict(decoder.refused)) == (0, {bad.reason: 1})


@settings(deadline=None, max_examples=150)
@given(sent=st.lists(frames(), max_size=6), cuts=st.lists(st.integers(0, 1500), max_size=8))
def test_frames_arrive_whatever_the_pieces_they_come_in(sent: list[Frame], cuts: list[int]) -> None:
    wire = b"".join(encode(frame) for frame in sent)
    edges = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    decoder = FrameDecoder()
    received = [result for at, to in pairwise(edges) for result in decoder.push(wire[at:to])]
    assert received == sent
    assert (decoder.n_frames, decoder.refused.total()) == (len(sent), 0)


@settings(deadline=None, max_examples=100)
@given(frame=frames())
def test_a_frame_has_no_zero_inside_and_a_bounded_length(frame: Frame) -> None:
    wire = encode(frame)
    assert (wire[0], wire[-1]) == (0, 0)
    assert 0 not in wire[1:-1]
    assert len(wire) == 2 + 1 + 5 + len(frame.payload) + 2


# The same examples each time: about one in 65,536 flips in the stuffing itself would pass any 16-bit CRC.
@settings(deadline=None, max_examples=12, derandomize=True)
@given(frame=frames(AVR_PAYLOAD), following=frames(AVR_PAYLOAD))
def test_no_single_flipped_bit_makes_another_frame_of_a_frame(frame: Frame, following: Frame) -> None:
    wire, more = encode(frame), encode(following)
    for bit in range(8 * (len(wire) - 1)):  # the closing zero is for the payloads to guard: see their tests
        flipped = bytearray(wire)
        flipped[bit // 8] ^= 1 << bit % 8
        results = FrameDecoder(AVR_PAYLOAD).push(bytes(flipped) + more)
        assert [result for result in results if isinstance(result, Frame)] == [following]


@pytest.mark.parametrize("vector", _VECTORS["frames"], ids=lambda vector: str(vector["name"]))
def test_no_single_flipped_bit_makes_another_frame_of_a_known_frame(vector: dict[str, Any]) -> None:
    wire = bytes.fromhex(vector["wire"])
    for bit in range(8, 8 * (len(wire) - 1)):
        flipped = bytearray(wire)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not [result for result in FrameDecoder().push(bytes(flipped)) if isinstance(result, Frame)]


@settings(deadline=None, max_examples=60)
@given(noise=st.lists(st.binary(max_size=400), max_size=8), frame=frames(AVR_PAYLOAD))
def test_after_any_noise_the_next_frame_is_read(noise: list[bytes], frame: Frame) -> None:
    decoder = FrameDecoder(AVR_PAYLOAD)
    for piece in noise:
        decoder.push(piece)
    assert decoder.push(encode(frame, AVR_PAYLOAD))[-1] == frame


def test_a_flood_without_delimiters_is_refused_once_and_takes_no_memory() -> None:
    decoder = FrameDecoder()
    results = [result for _ in range(2_000) for result in decoder.push(b"\x55" * 997)]
    assert results == [BadFrame(reason=BadReason.TOO_LONG)]
    assert len(decoder._buffer) <= 5 + MAX_PAYLOAD + 2 + 1
    beat = Frame(type=FrameType.BEAT, seq=1)
    assert decoder.push(encode(beat)) == [beat]
    assert decoder.refused == {BadReason.TOO_LONG: 1}


def test_a_flood_of_delimiters_is_nothing() -> None:
    decoder = FrameDecoder()
    assert decoder.push(bytes(10_000)) == []
    assert (decoder.n_frames, decoder.refused.total()) == (0, 0)


@pytest.mark.parametrize("limit", [AVR_PAYLOAD, MAX_PAYLOAD])
@pytest.mark.parametrize("filler", [b"\x00", b"\xff"])
def test_the_payload_limit_is_exact_on_both_sides(limit: int, filler: bytes) -> None:
    longest = Frame(type=FrameType.LOG, seq=0, payload=filler * limit)
    assert FrameDecoder(limit).push(encode(longest, limit)) == [longest]
    longer = Frame(type=FrameType.LOG, seq=0, payload=filler * (limit + 1))
    with pytest.raises(FrameError, match=f"has {limit + 1} bytes, its peer takes {limit}; split it"):
        encode(longer, limit)
    body = bytes((0x20, 0, 0, 0, FrameType.LOG)) + longer.payload
    too_long = b"\x00" + cobs.encode(body + mcrf4xx(body).to_bytes(2, "little")) + b"\x00"
    assert FrameDecoder(limit).push(too_long) == [BadFrame(reason=BadReason.TOO_LONG)]


@pytest.mark.parametrize("value", [-1, 256])
def test_a_counter_out_of_range_is_refused(value: int) -> None:
    beat = Frame(type=FrameType.BEAT, seq=0)
    for frame in (replace(beat, sid=value), replace(beat, seq=value), replace(beat, ack=value)):
        with pytest.raises(FrameError, match=f"of a BEAT frame is {value}; count modulo 256"):
            encode(frame)


@pytest.mark.parametrize("limit", [0, 241])
def test_a_payload_limit_that_no_peer_has_is_refused(limit: int) -> None:
    with pytest.raises(FrameError, match="payload limit"):
        FrameDecoder(limit)
    with pytest.raises(FrameError, match="payload limit"):
        encode(Frame(type=FrameType.BEAT, seq=0), limit)
