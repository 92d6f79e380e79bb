"""How many threads llama.cpp gets when nobody says."""

import os
from pathlib import Path

_MOST_THREADS = 4
"""Decoding is bound by memory bandwidth: more threads mostly wait for each other."""


def default_threads() -> int:
    """Physical cores less one, at least 1, at most 4.

    One core stays free because llama.cpp's threads spin at a barrier after every operation: as soon as another thread
    needs one of their cores, all wait for it. Measured with SmolLM2-135M on two cores: two threads on an idle machine
    decode 1.5 times as fast as one, on a busy machine as little as a thirtieth as fast. Ears and voice keep a
    companion's machine busy. Siblings of a hyper-threaded core share its arithmetic and count once.
    """
    return max(1, min(_MOST_THREADS, _physical_cores() - 1))


def _physical_cores() -> int:
    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    topology = Path("/sys/devices/system/cpu")
    cores = set()
    for cpu in cpus:
        try:
            siblings = (topology / f"cpu{cpu}/topology/thread_siblings_list").read_text()
        except OSError:
            siblings = str(cpu)
        cores.add(siblings)
    return len(cores)
