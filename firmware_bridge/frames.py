"""The frames of the serial wire: pure, without I/O or clock. What the payloads mean is `firmware_bridge.payloads`.

    00 COBS( b0 | sid | seq | ack | type | payload | crc ) 00         little-endian

    offset  size  field
    0       1     b0: bits 7-5 version = 1; bit 4 ACK_REQ; bit 3 IS_ACK; bit 2 MORE; bits 1-0 are 0
    1       1     sid: the session, chosen by the host with each HELLO; frames of an older session are stale
    2       1     seq: counts up with each new frame of the sender, modulo 256
    3       1     ack: if IS_ACK, the `seq` of the frame that is answered, else 0 to 255 without meaning
    4       1     type: FrameType
    5       n     payload, at most 48 bytes to an AVR, 240 to anything larger
    5+n     2     crc: CRC-16/MCRF4XX over all the bytes before it (`_crc_ccitt_update` of avr-libc)

Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999) leaves no zero inside, so a zero always means "a frame ends
here": whatever noise came before, the next frame is read whole. The zero in front ends that noise.

The CRC finds every single wrong bit; a flip in the stuffing, which moves zeros about, passes with a chance of 2^-16.
One flip it cannot find: the closing zero turned to 01 appends a zero byte, and a CRC without final XOR stays right when
its own low byte is then taken for payload. So every payload tells its own length, and `firmware_bridge.payloads`
insists on it.

The known answers in `tests/firmware_bridge/vectors.json` hold for every implementation, in C as well.
"""

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from cobs import cobs
from fastcrc.crc16 import mcrf4xx

from firmware_bridge.errors import FrameError

VERSION = 1
AVR_PAYLOAD = 48
MAX_PAYLOAD = 240

_HEADER_BYTES = 5
_CRC_BYTES = 2
_ACK_REQ, _IS_ACK, _MORE, _RESERVED = 0x10, 0x08, 0x04, 0x03


class FrameType(IntEnum):
    """What a frame is about."""

    HELLO = 1
    CAPS = 2
    BEAT = 3
    SET = 4
    EVT = 5
    STOP = 6
    ARM = 7
    LOG = 8


class BadReason(StrEnum):
    """Why what stood between two delimiters was refused."""

    TOO_LONG = "too_long"
    TOO_SHORT = "too_short"
    COBS = "cobs"
    CRC = "crc"
    VERSION = "version"
    RESERVED = "reserved"
    TYPE = "type"
    PAYLOAD = "payload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame. `sid`, `seq` and `ack` are 0 to 255; `more` says that the message goes on in the next frame."""

    type: FrameType
    seq: int
    ack: int = 0
    sid: int = 0
    ack_req: bool = False
    is_ack: bool = False
    more: bool = False
    payload: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadFrame:
    """Bytes that were no frame, or a frame whose payload was refused; `detail` says more where there is more to say."""

    reason: BadReason
    detail: str = ""


def encode(frame: Frame, max_payload: int = MAX_PAYLOAD) -> bytes:
    """The frame as it goes on the wire, delimiters included. Raises FrameError if something is too large."""
    for name, value in (("sid", frame.sid), ("seq", frame.seq), ("ack", frame.ack)):
        if not 0 <= value <= 0xFF:
            raise FrameError(f"{name} of a {frame.type.name} frame is {value}; count modulo 256")
    n_bytes = len(frame.payload)
    if n_bytes > _checked(max_payload):
        raise FrameError(
            f"payload of a {frame.type.name} frame has {n_bytes} bytes, its peer takes {max_payload}; split it"
        )
    flags = _ACK_REQ * frame.ack_req | _IS_ACK * frame.is_ack | _MORE * frame.more
    body = bytes((VERSION << 5 | flags, frame.sid, frame.seq, frame.ack, frame.type)) + frame.payload
    stuffed: bytes = cobs.encode(body + mcrf4xx(body).to_bytes(_CRC_BYTES, "little"))
    return b"\x00" + stuffed + b"\x00"


class FrameDecoder:
    """Frames out of a stream of bytes that arrive in pieces of any size. Holds at most one frame's bytes.

    `n_frames` counts the frames delivered, `refused` what was not, by reason.
    """

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        """Refuse payloads longer than `max_payload`. Raises FrameError if that is not 1 to 240."""
        n_bytes = _HEADER_BYTES + _checked(max_payload) + _CRC_BYTES
        self._max_encoded = n_bytes + 1  # COBS adds one byte to at most 254
        self._buffer = bytearray()
        self._skipping = False
        self.n_frames = 0
        self.refused: Counter[BadReason] = Counter()

    def push(self, data: bytes) -> list[Frame | BadFrame]:
        """The frames that these bytes complete, in order, and what between delimiters was none.

        A run of bytes without a delimiter is refused once, as soon as it is too long to be a frame, and then skipped up
        to the next delimiter.
        """
        results: list[Frame | BadFrame] = []
        *ended, rest = data.split(b"\x00")
        for piece in ended:
            self._gather(piece, results)
            if self._buffer:
                results.append(self._judged(_decoded(bytes(self._buffer))))
            self._buffer.clear()
            self._skipping = False
        self._gather(rest, results)
        return results

    def _gather(self, piece: bytes, results: list[Frame | BadFrame]) -> None:
        if self._skipping:
            return
        if len(self._buffer) + len(piece) <= self._max_encoded:
            self._buffer += piece
        else:
            self._buffer.clear()
            self._skipping = True
            results.append(self._judged(BadFrame(reason=BadReason.TOO_LONG)))

    def _judged(self, result: Frame | BadFrame) -> Frame | BadFrame:
        if isinstance(result, BadFrame):
            self.refused[result.reason] += 1
        else:
            self.n_frames += 1
        return result


def _checked(max_payload: int) -> int:
    if not 1 <= max_payload <= MAX_PAYLOAD:
        raise FrameError(f"a payload limit of {max_payload} bytes; use {AVR_PAYLOAD} for an AVR, else {MAX_PAYLOAD}")
    return max_payload


def _decoded(encoded: bytes) -> Frame | BadFrame:
    try:
        body = cobs.decode(encoded)
    except cobs.DecodeError:
        return BadFrame(reason=BadReason.COBS)
    if len(body) < _HEADER_BYTES + _CRC_BYTES:
        return BadFrame(reason=BadReason.TOO_SHORT)
    checked, crc = body[:-_CRC_BYTES], int.from_bytes(body[-_CRC_BYTES:], "little")
    if mcrf4xx(checked) != crc:
        return BadFrame(reason=BadReason.CRC)
    b0, sid, seq, ack, kind = checked[:_HEADER_BYTES]
    if b0 >> 5 != VERSION:
        return BadFrame(reason=BadReason.VERSION, detail=f"version {b0 >> 5}, this side speaks {VERSION}")
    if b0 & _RESERVED:
        return BadFrame(reason=BadReason.RESERVED)
    if not FrameType.HELLO <= kind <= FrameType.LOG:
        return BadFrame(reason=BadReason.TYPE, detail=f"type {kind}")
    return Frame(
        type=FrameType(kind),
        seq=seq,
        ack=ack,
        sid=sid,
        ack_req=bool(b0 & _ACK_REQ),
        is_ack=bool(b0 & _IS_ACK),
        more=bool(b0 & _MORE),
        payload=checked[_HEADER_BYTES:],
    )
