"""llama.cpp as a library of this process: loaded once, on first use, with its log kept quiet.

llama.cpp prints to standard error unless told otherwise, and gives the reason of a failure only there; so its log is
collected here and the last warnings and errors become the reason of the exception. Models, contexts and what is done
with them are left to `models.engine` and its parts.
"""

import ctypes
import logging
import os
import threading
from collections import deque
from functools import cache
from typing import Any

from models.errors import ModelError
from models.printable import clipped

logger = logging.getLogger(__name__)

_INFO, _WARN, _ERROR = 2, 3, 4  # enum ggml_log_level

_MOST_CHARACTERS = 300
"""Of one complaint; the longest of llama.cpp's own words have some 200."""

_SHOW_CURSOR = b"\x1b[?25h"

_AbortCallback = ctypes.CFUNCTYPE(None, ctypes.c_char_p)


class LlamaCpp:
    """The low-level bindings, and what llama.cpp last complained of."""

    def __init__(self, bindings: Any) -> None:
        self.lib = bindings
        self._complaints: deque[str] = deque(maxlen=4)  # the oldest leave: the last lines name the cause
        self.standard_error = threading.Lock()  # to be held by whoever turns file descriptor 2 aside
        self._callback = bindings.llama_log_callback(self._log)  # llama.cpp keeps the pointer: it must live as long
        bindings.llama_log_set(self._callback, None)
        self._on_abort = _AbortCallback(_leave)
        bindings._lib.ggml_set_abort_callback(self._on_abort)
        bindings.llama_backend_init()

    def take_complaints(self) -> str:
        """The warnings and errors since the last call, joined; empty when there were none."""
        lines = []
        while self._complaints:
            lines.append(self._complaints.popleft())
        return "; ".join(lines)

    def _log(self, level: int, text: bytes, _user_data: object) -> None:
        if level < _INFO:
            return
        line = clipped(text.decode("utf-8", "replace"), _MOST_CHARACTERS)  # a model file may have a say in it
        logger.debug("llama.cpp: %s", line)
        if level in (_WARN, _ERROR) and line:
            self._complaints.append(line)


def _leave(reason: bytes) -> None:
    """Called when llama.cpp finds itself in a state it does not know and is about to abort the process, which a model
    file with absurd numbers in it can bring about. It cannot be kept from that: say so in a line, in place of a stack
    trace by a debugger and a core dump."""
    line = clipped(reason.decode("utf-8", "replace").partition("\n")[0], _MOST_CHARACTERS)
    where, _, what = line.partition(": ")  # file and line of its source
    if os.isatty(2):
        os.write(2, _SHOW_CURSOR)  # no other clean-up runs, and whoever draws on the terminal may have hidden it
    os.write(2, f"llama.cpp had to give up: {what or where}; try another model file, or pull this one again\n".encode())
    os._exit(1)


@cache
def llama_cpp() -> LlamaCpp:
    """The one instance: log callback and back-ends are global to the process in llama.cpp itself.

    Raises ModelError when the library cannot be loaded.
    """
    try:
        from llama_cpp import llama_cpp as bindings
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelError(
            f"llama.cpp cannot be loaded ({error}); build llama-cpp-python again on this machine"
        ) from error
    return LlamaCpp(bindings)
