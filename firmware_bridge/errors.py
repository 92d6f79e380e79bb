"""The errors of `firmware_bridge`: one family, each with a stable `code` for programs and a sentence for people."""


class BridgeError(Exception):
    """Something between the companion and its body that a person or a caller can mend: what, where, how."""

    code = "bridge"


class FrameError(BridgeError):
    """A frame that cannot be put on the wire, or a payload limit that no peer has."""

    code = "frame"


class PayloadError(BridgeError):
    """A payload whose fields are out of range, too short or too long for its type."""

    code = "payload"


class ExpressionError(BridgeError):
    """An expression that no body can show."""

    code = "expression"
