"""Stop signals that set themselves, at a point of the work and not at a time."""

from models.interrupt import StopSignal


class StopsAtLook(StopSignal):
    """Sets itself when Python looks at it for the n-th time. Unless that look sees it, llama.cpp is the first to: in
    the middle of the batch that follows."""

    __slots__ = ("_n", "_seen")

    def __init__(self, n: int, *, seen: bool) -> None:
        super().__init__()
        self._n, self._seen = n, seen

    def is_set(self) -> bool:
        self._n -= 1
        if self._n == 0:
            self.set()
            return self._seen
        return super().is_set()
