"""The person of a benchmark: silent, until told what to say."""

from itertools import islice

import numpy as np

from tools.scripted_microphone import BLOCK_SAMPLES, ScriptedMicrophone


def drawn(microphone: ScriptedMicrophone, n_blocks: int) -> list[int]:
    """The first sample of each of the next blocks."""
    return [int(block[0]) for block in islice(iter(microphone), n_blocks)]


def test_there_is_silence_until_something_is_said() -> None:
    assert drawn(ScriptedMicrophone(), 3) == [0, 0, 0]


def test_what_is_said_comes_next_and_then_silence() -> None:
    microphone = ScriptedMicrophone()
    blocks = iter(microphone)
    next(blocks)
    microphone.say(np.full(2 * BLOCK_SAMPLES, 7, np.int16))
    assert [int(next(blocks)[0]) for _ in range(4)] == [7, 7, 0, 0]
    assert microphone.started_at == [BLOCK_SAMPLES]


def test_what_waits_is_said_in_order_and_every_block_is_whole() -> None:
    microphone = ScriptedMicrophone()
    microphone.say(np.full(BLOCK_SAMPLES + 1, 7, np.int16))
    microphone.say(np.full(1, 9, np.int16))
    blocks = list(islice(iter(microphone), 4))
    assert [int(block[0]) for block in blocks] == [7, 7, 9, 0]
    assert {block.shape for block in blocks} == {(BLOCK_SAMPLES,)}
    assert blocks[1][1:].tolist() == [0] * (BLOCK_SAMPLES - 1)
    assert microphone.started_at == [0, 2 * BLOCK_SAMPLES]


def test_saying_nothing_is_no_sound() -> None:
    microphone = ScriptedMicrophone()
    microphone.say(np.zeros(0, np.int16))
    assert drawn(microphone, 2) == [0, 0]
