"""What frames say: every message there and back, and every payload out of range refused with a reason and counted."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.errors import PayloadError
from firmware_bridge.frames import BadFrame, BadReason, Frame, FrameType, encode
from firmware_bridge.payloads import (
    Arm,
    Beat,
    Caps,
    CapsRequest,
    Event,
    Hello,
    HelloRequest,
    Log,
    LogLevel,
    Message,
    MessageDecoder,
    Received,
    Set,
    SetChannel,
    Stop,
    decode_message,
    encode_message,
)

_VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
_U8, _U16, _U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
_I16 = st.integers(-0x8000, 0x7FFF)
_FROM_1 = st.integers(1, 0xFFFF)

_MESSAGES = st.one_of(
    st.sampled_from([HelloRequest(), Beat(), Stop(), Arm()]),
    st.builds(
        Hello,
        version=st.integers(1, 255),
        boot_id=_U32,
        max_payload=st.integers(11, 240),
        n_channels=_U8,
        caps_bytes=_U16,
        beat_ms=_FROM_1,
    ),
    st.builds(CapsRequest, offset=_U16, n_bytes=st.integers(1, 237)),
    st.builds(Caps, offset=_U16, data=st.binary(min_size=1, max_size=237)),
    st.builds(
        Set,
        channels=st.lists(st.builds(SetChannel, ch=_U8, val=_I16, lease_ms=_FROM_1), min_size=1, max_size=48).map(
            tuple
        ),
    ),
    st.builds(Event, ch=_U8, val=_I16, at_ms=_U32),
    st.builds(
        Log,
        level=st.sampled_from(LogLevel),
        text=st.text(st.characters(exclude_categories=["Cs"]), max_size=59),
    ),
)


@settings(deadline=None, max_examples=200)
@given(message=_MESSAGES)
def test_every_message_arrives_as_it_was_sent(message: Message) -> None:
    kind, payload = encode_message(message)
    frame = Frame(type=kind, seq=3, payload=payload)
    assert MessageDecoder().push(encode(frame)) == [Received(frame=frame, message=message)]


@settings(deadline=None, max_examples=300)
@given(kind=st.sampled_from(FrameType), is_ack=st.booleans(), payload=st.binary(max_size=30))
def test_any_payload_is_a_message_or_refused(kind: FrameType, is_ack: bool, payload: bytes) -> None:
    frame = Frame(type=kind, seq=0, is_ack=is_ack, payload=payload)
    try:
        message = decode_message(frame)
    except PayloadError:
        return
    if message is None:
        assert is_ack
        assert payload == b""
    elif not isinstance(message, Log):  # whose bytes may be no UTF-8
        assert encode_message(message) == (kind, payload)


def _as_json(message: Message | None) -> dict[str, Any] | None:
    if message is None:
        return None
    fields = asdict(message)
    if isinstance(message, Set):
        fields["channels"] = list(fields["channels"])
    if isinstance(message, Caps):
        fields["data"] = message.data.hex()
    return {type(message).__name__: fields}


# The same examples each time: about one in 65,536 flips in the stuffing itself would pass any 16-bit CRC.
@settings(deadline=None, max_examples=15, derandomize=True)
@given(message=_MESSAGES, is_ack=st.booleans(), counters=st.tuples(_U8, _U8, _U8))
def test_no_single_flipped_bit_of_the_line_makes_another_message(
    message: Message, is_ack: bool, counters: tuple[int, int, int]
) -> None:
    kind, payload = encode_message(message)
    sid, seq, ack = counters
    wire = encode(Frame(type=kind, sid=sid, seq=seq, ack=ack, is_ack=is_ack, payload=payload))
    for bit in range(8 * len(wire)):
        flipped = bytearray(wire)
        flipped[bit // 8] ^= 1 << bit % 8
        results = MessageDecoder().push(bytes(flipped) + b"\x00")
        assert [result for result in results if isinstance(result, Received)] == []


@pytest.mark.parametrize("vector", _VECTORS["frames"], ids=lambda vector: str(vector["name"]))
def test_known_frames_say_what_is_written_down(vector: dict[str, Any]) -> None:
    (received,) = MessageDecoder().push(bytes.fromhex(vector["wire"]))
    assert isinstance(received, Received)
    assert _as_json(received.message) == vector["message"]
    if received.message is not None:
        assert encode_message(received.message) == (received.frame.type, received.frame.payload)


@pytest.mark.parametrize("vector", _VECTORS["refused"], ids=lambda vector: str(vector["name"]))
def test_known_bad_frames_are_refused_with_their_reason_and_counted(vector: dict[str, Any]) -> None:
    decoder = MessageDecoder()
    (bad,) = decoder.push(bytes.fromhex(vector["wire"]))
    assert isinstance(bad, BadFrame)
    assert bad.reason == vector["reason"]
    assert decoder.refused == {bad.reason: 1}
    assert bad.detail or bad.reason != BadReason.PAYLOAD


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: SetChannel(ch=256, val=0, lease_ms=1), "SET ch is 256; it must be 0 to 255"),
        (lambda: SetChannel(ch=0, val=32768, lease_ms=1), "SET val is 32768"),
        (lambda: SetChannel(ch=0, val=0, lease_ms=0), "SET lease_ms is 0; it must be 1 to 65535"),
        (lambda: Set(channels=()), "number of channels in a SET is 0"),
        (lambda: Set(channels=(SetChannel(ch=0, val=0, lease_ms=1),) * 49), "number of channels in a SET is 49"),
        (lambda: Event(ch=0, val=-32769, at_ms=0), "EVT val is -32769"),
        (lambda: Caps(offset=0, data=b""), "CAPS n is 0"),
        (lambda: Caps(offset=0, data=bytes(238)), "CAPS n is 238"),
        (lambda: CapsRequest(offset=65536, n_bytes=1), "CAPS off is 65536"),
        (lambda: Log(level=LogLevel.INFO, text="é" * 120), "length of a LOG text is 240; it must be 0 to 238"),
        (
            lambda: Hello(version=1, boot_id=0, max_payload=10, n_channels=0, caps_bytes=0, beat_ms=1),
            "HELLO maxp is 10; it must be 11 to 240",
        ),
    ],
)
def test_no_message_exists_that_the_wire_cannot_carry(make: Any, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        make()


def test_a_log_cut_within_a_character_is_still_read() -> None:
    frame = Frame(type=FrameType.LOG, seq=0, payload=b"\x03\x06hot \xe2\x82")
    assert decode_message(frame) == Log(level=LogLevel.ERROR, text="hot ")
