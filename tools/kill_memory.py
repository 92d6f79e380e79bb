"""`python -m tools.kill_memory`: kill -9 at random moments of writing, sleeping, forgetting and contradicting.

A life (`tools.kill_memory_life`) is begun, killed after a random time, and the memory compared with what the life had
acknowledged (`tools.kill_memory_checks`); then the next one goes on in the same file. A file serves for some lives, so
that looking through all of it stays quick. A killed process is not a power cut: what the operating system had taken
over is on the disk all the same. How long a commit waits for the disk is measured by `familiar bench memory`.

Exit status 1 if anything was lost, half-done or damaged.
"""

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

from tools.kill_memory_checks import Ledger, flaws
from tools.kill_memory_life import live

LIVES_PER_FILE = 25
INDEX_CHECKED_EVERY = 5
"""Comparing the index with a new one takes as long as all the rest; what is wrong with it stays wrong."""

MAX_LIFE_S = 0.12
"""A life opens the memory, some 10 ms, and then does an operation every few."""

_STUCK_S = 30.0


@dataclass(slots=True, kw_only=True)
class KillReport:
    """How it went. `interrupted`: how many kills fell into each operation, "none" being between two."""

    n_kills: int = 0
    n_acknowledged: int = 0
    interrupted: dict[str, int] = field(default_factory=dict)
    flaws: list[str] = field(default_factory=list)
    took_s: float = 0.0


def kill_many(kills: int, seconds: float, seed: int, say: Callable[[str], None]) -> KillReport:
    """Kill so often, but stop after so many seconds, or with the first file that anything is wrong with."""
    report = KillReport()
    chance = random.Random(seed)  # noqa: S311  nothing here is secret
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="familiar-kill-") as folder:
        ledger, path = Ledger(), Path(folder)
        while report.n_kills < kills and time.monotonic() - started_s < seconds and not report.flaws:
            if report.n_kills % LIVES_PER_FILE == 0:
                report.n_acknowledged += ledger.n_acknowledged
                ledger, path = Ledger(), Path(folder) / f"{report.n_kills}" / "memory.db"
                say(f"{report.n_kills} kills, {report.n_acknowledged} operations acknowledged")
            _kill_one(path, seed * 1_000_000 + report.n_kills, ledger, chance.uniform(0.0, MAX_LIFE_S))
            fell = ledger.begun[0] if ledger.begun else "none"
            report.interrupted[fell] = report.interrupted.get(fell, 0) + 1
            report.n_kills += 1
            report.flaws += ledger.broken_promises(path)
            report.flaws += flaws(path, with_index=report.n_kills % INDEX_CHECKED_EVERY == 0)
        report.n_acknowledged += ledger.n_acknowledged
    report.took_s = round(time.monotonic() - started_s, 1)
    return report


def _kill_one(path: Path, number: int, ledger: Ledger, life_s: float) -> None:
    """One life, from its first word on; what it said goes to the ledger."""
    processes = multiprocessing.get_context("forkserver")
    from_life, to_parent = processes.Pipe(duplex=False)
    process = processes.Process(target=live, args=(path, number, to_parent), name=f"life {number}", daemon=True)
    process.start()
    to_parent.close()
    if not from_life.poll(_STUCK_S):
        raise TimeoutError(f"a life said nothing for {_STUCK_S:g} s")
    time.sleep(life_s)
    process.kill()
    process.join()
    _take_all(from_life, ledger)
    from_life.close()
    process.close()


def _take_all(from_life: Connection, ledger: Ledger) -> None:
    """Everything that was sent whole. The kill may have cut the last message short: that was not acknowledged."""
    try:
        while True:
            ledger.take(*from_life.recv())
    except (EOFError, OSError):
        return


def main(arguments: list[str]) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.kill_memory", description="Kill -9 the memory, and look at it."
    )
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=3_600.0, help="stop after so many seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    chosen = parser.parse_args(arguments)
    # The modules are imported once, in the process from which all lives are forked.
    multiprocessing.get_context("forkserver").set_forkserver_preload(["tools.kill_memory_life"])
    report = kill_many(chosen.kills, chosen.seconds, chosen.seed, lambda line: _write(sys.stderr, line))
    _write(sys.stdout, json.dumps(asdict(report)) if chosen.json else _as_text(report))
    return 1 if report.flaws else 0


def _write(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()


def _as_text(report: KillReport) -> str:
    often = sorted(report.interrupted.items(), key=lambda item: -item[1])
    fell = ", ".join(f"{name} {n}" for name, n in often)
    verdict = report.flaws or ["nothing acknowledged was lost, nothing half-done, every check clean"]
    head = f"{report.n_kills} kills in {report.took_s:g} s, {report.n_acknowledged} operations acknowledged"
    return "\n".join([head, f"killed during: {fell}", *verdict])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
