"""The ring: nothing is lost, doubled or reordered, and what did not fit is counted."""

import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.ring import SampleRing


@settings(deadline=None, max_examples=100)
@given(capacity=st.integers(1, 17), steps=st.lists(st.tuples(st.booleans(), st.integers(0, 25)), max_size=40))
def test_samples_come_out_as_they_went_in(capacity: int, steps: list[tuple[bool, int]]) -> None:
    ring = SampleRing(capacity)
    sent = accepted = taken = 0
    for writes, n in steps:
        if writes:
            fitted = ring.write_from(np.arange(accepted, accepted + n, dtype=np.int16))
            assert fitted == min(n, capacity - (accepted - taken))
            sent += n
            accepted += fitted
        else:
            out = np.full(n, -1, np.int16)
            got = ring.read_into(out)
            assert got == min(n, accepted - taken)
            assert out.tolist() == [*range(taken, taken + got), *[-1] * (n - got)]
            taken += got
        assert len(ring) == accepted - taken
    assert ring.dropped == sent - accepted


def test_one_channel_of_several_can_be_written_from_and_read_into() -> None:
    ring = SampleRing(8)
    frames = np.arange(12, dtype=np.int16).reshape(6, 2)
    ring.write_from(frames[:, 0])
    out = np.zeros((6, 2), np.int16)
    ring.read_into(out[:, 1])

    assert out[:, 1].tolist() == [0, 2, 4, 6, 8, 10]


def test_a_thread_on_each_side_needs_no_lock() -> None:
    ring = SampleRing(1_000)
    total = 300_000

    def produce() -> None:
        sent = 0
        while sent < total:
            block = (np.arange(sent, min(sent + 160, total)) % 30_000).astype(np.int16)
            sent += ring.write_from(block)

    producer = threading.Thread(target=produce)
    producer.start()
    out = np.zeros(441, np.int16)
    received: list[np.ndarray[tuple[int], np.dtype[np.int16]]] = []
    count = 0
    while count < total:
        n = ring.read_into(out)
        received.append(out[:n].copy())
        count += n
    producer.join()

    assert np.array_equal(np.concatenate(received), np.arange(total) % 30_000)
