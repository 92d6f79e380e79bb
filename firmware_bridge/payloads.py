"""What the frames of the wire say: one frozen message per payload, and the way there and back. Pure.

    type     payload, little-endian
    HELLO 1  (empty)                            from the host: who are you? Disarms.
             ver u8, boot_id u32, maxp u8, nch u8, caps_len u16, beat_ms u16
                                                from the device: the answer, and unasked after a reset
    CAPS  2  off u16, n u8                      from the host: n bytes from off on, please
             off u16, n u8, n bytes             from the device
    BEAT  3  (empty)                            the sender's behaviour loop is alive
    SET   4  {ch u8, val i16, lease_ms u16}     once or more; the channel is safe again when its lease ends
    EVT   5  ch u8, val i16, at_ms u32          at_ms: milliseconds since the device's reset
    STOP  6  (empty)                            every output to its safe value, from any state
    ARM   7  (empty)                            SET is obeyed from now on
    LOG   8  level u8, n u8, n bytes of UTF-8   for a developer's eyes

Every layout tells its own length; a payload of any other is refused (why: see `firmware_bridge.frames`).
A message checks its own ranges, so none exists that the wire cannot carry. An acknowledgement without payload says
nothing but its frame's `ack`. What channels there are and what their values mean is told by the capabilities.
"""

import struct
from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from typing import assert_never

from firmware_bridge.errors import PayloadError
from firmware_bridge.frames import MAX_PAYLOAD, BadFrame, BadReason, Frame, FrameDecoder, FrameType

_HELLO = struct.Struct("<BIBBHH")
_CAPS = struct.Struct("<HB")
_SET = struct.Struct("<BhH")
_EVT = struct.Struct("<BhI")
_LOG = struct.Struct("<BB")


@dataclass(frozen=True, slots=True, kw_only=True)
class HelloRequest:
    """The host asks who is there. The device disarms itself and answers `Hello`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Who the device is.

    `version`: of the protocol, 1 or more. `boot_id`: differs from reset to reset. `max_payload`: the longest payload it
    takes, 11 to 240 bytes. `n_channels`: how many it has. `caps_bytes`: length of its capabilities. `beat_ms`: period
    of its behaviour loop's BEAT, 1 or more.
    """

    version: int
    boot_id: int
    max_payload: int
    n_channels: int
    caps_bytes: int
    beat_ms: int

    def __post_init__(self) -> None:
        _check("HELLO ver", self.version, 1, 0xFF)
        _check("HELLO boot_id", self.boot_id, 0, 0xFFFFFFFF)
        _check("HELLO maxp", self.max_payload, _HELLO.size, MAX_PAYLOAD)
        _check("HELLO nch", self.n_channels, 0, 0xFF)
        _check("HELLO caps_len", self.caps_bytes, 0, 0xFFFF)
        _check("HELLO beat_ms", self.beat_ms, 1, 0xFFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapsRequest:
    """The host asks for `n_bytes` (1 to 237) of the capabilities from `offset` on."""

    offset: int
    n_bytes: int

    def __post_init__(self) -> None:
        _check("CAPS off", self.offset, 0, 0xFFFF)
        _check("CAPS n", self.n_bytes, 1, MAX_PAYLOAD - _CAPS.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """A piece (1 to 237 bytes) of the capabilities from `offset` on."""

    offset: int
    data: bytes

    def __post_init__(self) -> None:
        _check("CAPS off", self.offset, 0, 0xFFFF)
        _check("CAPS n", len(self.data), 1, MAX_PAYLOAD - _CAPS.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The sender's behaviour loop is alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetChannel:
    """Channel `ch` (0 to 255) to the value `val` (-32768 to 32767) for `lease_ms` (1 to 65535), then back to safe."""

    ch: int
    val: int
    lease_ms: int

    def __post_init__(self) -> None:
        _check("SET ch", self.ch, 0, 0xFF)
        _check("SET val", self.val, -0x8000, 0x7FFF)
        _check("SET lease_ms", self.lease_ms, 1, 0xFFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """Channels to set together, in order; 1 to 48, of which an AVR's payload holds 9."""

    channels: tuple[SetChannel, ...]

    def __post_init__(self) -> None:
        _check("number of channels in a SET", len(self.channels), 1, MAX_PAYLOAD // _SET.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something was sensed on channel `ch`: `val` (-32768 to 32767), `at_ms` milliseconds after the device's reset."""

    ch: int
    val: int
    at_ms: int

    def __post_init__(self) -> None:
        _check("EVT ch", self.ch, 0, 0xFF)
        _check("EVT val", self.val, -0x8000, 0x7FFF)
        _check("EVT at_ms", self.at_ms, 0, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Every output to its safe value, now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """From now on SET is obeyed, until the next HELLO, STOP or silence."""


class LogLevel(IntEnum):
    """How much a `Log` matters."""

    DEBUG = 0
    INFO = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A line for a developer; at most 238 bytes of UTF-8. Bytes that arrive and are none are left out."""

    level: LogLevel
    text: str

    def __post_init__(self) -> None:
        _check("length of a LOG text", len(_utf8(self.text)), 0, MAX_PAYLOAD - _LOG.size)


Message = HelloRequest | Hello | CapsRequest | Caps | Beat | Set | Event | Stop | Arm | Log


_EMPTY: dict[FrameType, Message] = {FrameType.BEAT: Beat(), FrameType.STOP: Stop(), FrameType.ARM: Arm()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A frame and what it says; None if it is a mere acknowledgement."""

    frame: Frame
    message: Message | None


def encode_message(message: Message) -> tuple[FrameType, bytes]:
    """The type and payload of the frame that carries `message`. Raises nothing: a message is in range."""
    match message:
        case HelloRequest():
            return FrameType.HELLO, b""
        case Hello(version=version, boot_id=boot_id, max_payload=maxp, n_channels=nch, caps_bytes=n, beat_ms=beat_ms):
            return FrameType.HELLO, _HELLO.pack(version, boot_id, maxp, nch, n, beat_ms)
        case CapsRequest(offset=offset, n_bytes=n_bytes):
            return FrameType.CAPS, _CAPS.pack(offset, n_bytes)
        case Caps(offset=offset, data=data):
            return FrameType.CAPS, _CAPS.pack(offset, len(data)) + data
        case Beat():
            return FrameType.BEAT, b""
        case Set(channels=channels):
            return FrameType.SET, b"".join(_SET.pack(each.ch, each.val, each.lease_ms) for each in channels)
        case Event(ch=ch, val=val, at_ms=at_ms):
            return FrameType.EVT, _EVT.pack(ch, val, at_ms)
        case Stop():
            return FrameType.STOP, b""
        case Arm():
            return FrameType.ARM, b""
        case Log(level=level, text=text):
            return FrameType.LOG, _LOG.pack(level, len(_utf8(text))) + _utf8(text)
        case _:
            assert_never(message)


def decode_message(frame: Frame) -> Message | None:
    """What the frame says; None if it is a mere acknowledgement. Raises PayloadError if the payload does not fit."""
    payload = frame.payload
    if frame.is_ack and not payload:
        return None
    match frame.type:
        case FrameType.HELLO:
            return _hello(payload) if payload else HelloRequest()
        case FrameType.CAPS:
            return _caps(payload)
        case FrameType.SET:
            return _set(payload)
        case FrameType.EVT:
            ch, val, at_ms = _unpacked(_EVT, "EVT", payload)
            return Event(ch=ch, val=val, at_ms=at_ms)
        case FrameType.LOG:
            return _log(payload)
        case FrameType.BEAT | FrameType.STOP | FrameType.ARM:
            _check(f"length of a {frame.type.name}", len(payload), 0, 0)
            return _EMPTY[frame.type]
        case _:
            assert_never(frame.type)


class MessageDecoder:
    """A FrameDecoder that reads the payloads too: a frame whose payload is refused is a BadFrame like any other."""

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        """As FrameDecoder. `refused` counts what was not understood, by reason."""
        self._frames = FrameDecoder(max_payload)
        self.refused: Counter[BadReason] = self._frames.refused

    def push(self, data: bytes) -> list[Received | BadFrame]:
        """What these bytes complete, in order."""
        return [self._read(result) if isinstance(result, Frame) else result for result in self._frames.push(data)]

    def _read(self, frame: Frame) -> Received | BadFrame:
        try:
            return Received(frame=frame, message=decode_message(frame))
        except PayloadError as error:
            self.refused[BadReason.PAYLOAD] += 1
            return BadFrame(reason=BadReason.PAYLOAD, detail=str(error))


def _hello(payload: bytes) -> Hello:
    version, boot_id, max_payload, n_channels, caps_bytes, beat_ms = _unpacked(_HELLO, "HELLO", payload)
    return Hello(
        version=version,
        boot_id=boot_id,
        max_payload=max_payload,
        n_channels=n_channels,
        caps_bytes=caps_bytes,
        beat_ms=beat_ms,
    )


def _caps(payload: bytes) -> CapsRequest | Caps:
    offset, n_bytes = _unpacked(_CAPS, "CAPS", payload[: _CAPS.size])
    data = payload[_CAPS.size :]
    if not data:
        return CapsRequest(offset=offset, n_bytes=n_bytes)
    _check("length of the piece in a CAPS", len(data), n_bytes, n_bytes)
    return Caps(offset=offset, data=data)


def _set(payload: bytes) -> Set:
    if len(payload) % _SET.size:
        raise PayloadError(f"length of a SET is {len(payload)} bytes; it is a multiple of {_SET.size}")
    fields = _SET.iter_unpack(payload)
    return Set(channels=tuple(SetChannel(ch=ch, val=val, lease_ms=lease_ms) for ch, val, lease_ms in fields))


def _log(payload: bytes) -> Log:
    level, n_bytes = _unpacked(_LOG, "LOG", payload[: _LOG.size])
    text = payload[_LOG.size :]
    _check("length of the text in a LOG", len(text), n_bytes, n_bytes)
    _check("LOG level", level, LogLevel.DEBUG, LogLevel.ERROR)
    return Log(level=LogLevel(level), text=text.decode("utf-8", errors="ignore"))


def _unpacked(layout: struct.Struct, name: str, payload: bytes) -> tuple[int, ...]:
    _check(f"length of a {name}", len(payload), layout.size, layout.size)
    return layout.unpack(payload)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", errors="replace")


def _check(name: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        wanted = f"{lowest}" if lowest == highest else f"{lowest} to {highest}"
        raise PayloadError(f"{name} is {value}; it must be {wanted}")
