"""The wish to stop, told to a native computation that cannot be cancelled.

One StopSignal belongs to one request. Whoever wants the request to end sets it, from any thread; the engine polls it
between tokens, and llama.cpp reads its byte before every node of the compute graph. That read must not run Python: a
callback that takes the GIL a thousand times per token would stall the model behind every busy Python thread. So the
callback is libc's `strlen` on a two-byte buffer: 0 while the first byte is zero, 1 once it is set.
"""

import ctypes


class StopSignal:
    """Set once, never cleared; a new request gets a new one."""

    __slots__ = ("_flag",)

    def __init__(self) -> None:
        self._flag = ctypes.create_string_buffer(2)

    def set(self) -> None:
        """Ask the request to end. Safe from any thread, any number of times."""
        self._flag[0] = b"\x01"

    def is_set(self) -> bool:
        return self._flag[0] != b"\x00"

    @property
    def address(self) -> int:
        """Where the flag lies: the data for `abort_function`. Valid while this object lives."""
        return ctypes.addressof(self._flag)


def abort_function() -> ctypes.c_void_p:
    """The C function that reads a StopSignal's flag, as an untyped pointer for the abort callback of llama.cpp."""
    return ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p)
