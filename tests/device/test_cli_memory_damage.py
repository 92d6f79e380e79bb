"""`familiar memory ...` on a damaged memory: nothing is set aside by looking, and nothing passes for forgotten.

And what people said steers no terminal.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from device.continuity import talk_file
from memory.store import MemoryStore
from tests.device.memory_commands import Familiar, own_state
from tests.memory.filling import all_bytes, fill
from tests.memory.making import remember

COPY = "memory.corrupt-20260101T000000.000000Z.db"
REMOVES = "`familiar memory forget --copies` removes them"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return own_state(tmp_path, monkeypatch)


@pytest.fixture
def familiar(state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Familiar:
    return Familiar(monkeypatch, capsys)


@pytest.fixture
def damaged(state: Path) -> Path:
    """The file of a memory of which a page is gone."""
    path = state / "memory.db"
    with MemoryStore(path) as store:
        fill(store)
    _damage(path)
    return path


def _damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    assert b"xylophone" in path.read_bytes().lower()


@pytest.mark.parametrize(
    "command",
    [
        "show",
        "search x",
        "sleep",
        "export good.json",
        "import good.json",
        "forget --words xylophone --yes",
        "forget --words xylophone --yes --json",
        "forget --everything --json",
        "forget --person Anna --everything --yes",
    ],
)
def test_a_command_on_a_damaged_memory_fails_and_leaves_everything(
    familiar: Familiar, damaged: Path, state: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(state)
    (state / "good.json").write_text("a good back-up")
    before = damaged.read_bytes()
    done = familiar(*command.split())
    assert done.status == 1
    assert "is damaged and was left as it is" in done.out + done.err
    assert damaged.read_bytes() == before
    assert sorted(entry.name for entry in state.iterdir()) == ["good.json", "memory.db"]
    assert (state / "good.json").read_text() == "a good back-up"


def test_a_damaged_memory_can_be_forgotten_as_a_whole(familiar: Familiar, damaged: Path, state: Path) -> None:
    (state / "states").mkdir()
    talk_file(state / "states", "Anna", "Luna").write_text("xylophones")
    told = familiar("forget", "--words", "xylophone", "--yes")
    assert told.out == "nothing was forgotten\n"
    assert "forget --everything --yes` removes the damaged file" in told.err
    done = familiar("forget", "--everything", "--yes")
    assert (done.status, done.out) == (0, "forgotten\n")
    assert "was damaged" in done.err
    assert b"xylophon" not in all_bytes(state)
    assert familiar("forget", "--everything", "--yes", "--json").json["copies"] == []


def test_copies_are_told_whatever_is_found(familiar: Familiar, state: Path) -> None:
    path = state / "memory.db"
    MemoryStore(path).close()
    (state / COPY).write_bytes(b"xylophones")
    done = familiar("forget", "--words", "xylophone", "--yes")
    assert (done.status, done.out) == (0, "nothing of that kind is remembered\n")
    assert done.err == f"familiar: words may still be in {COPY}: {REMOVES}\n"
    assert familiar("forget", "--words", "xylophone", "--yes", "--json").json["copies"] == [COPY]
    path.unlink()
    done = familiar("forget", "--words", "xylophone", "--yes")
    assert (done.out.startswith("nothing is remembered yet"), REMOVES in done.err) == (True, True)
    assert familiar("forget", "--copies", "--yes", "--json").json["copies_removed"] == [COPY]
    assert list(state.iterdir()) == []


_COMPANION = """
import sys
from pathlib import Path
from tests.memory.making import remember
from memory.store import MemoryStore
with MemoryStore(Path(sys.argv[1])) as store:
    conversation = store.open_conversation("Anna", "Luna")
    for line in sys.stdin:
        print(remember(store, line.strip(), conversation_id=conversation).turn_id, flush=True)
"""


def test_looking_takes_nothing_from_a_companion_that_talks(familiar: Familiar, state: Path) -> None:
    path = state / "memory.db"
    with MemoryStore(path) as store:
        for n in range(20):
            remember(store, f"number {n}", "word " * 200)
        pages = "SELECT max(pageno) FROM dbstat WHERE name = 'turns'"
        (number,) = store.read("look", lambda connection: connection.execute(pages).fetchone())
    command = [sys.executable, "-c", _COMPANION, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as companion:
        assert companion.stdin is not None
        assert companion.stdout is not None
        print("before", file=companion.stdin, flush=True)
        assert companion.stdout.readline()
        descriptor = os.open(path, os.O_RDWR)
        os.pwrite(descriptor, b"\xff" * 4096, 4096 * (number - 2))
        os.close(descriptor)
        assert familiar("show", "--turns").status in (0, 1)
        print("after", file=companion.stdin, flush=True)
        assert companion.stdout.readline()
        assert [entry.name for entry in state.glob("*.db")] == ["memory.db"]
        companion.communicate()
    assert b"after" in path.read_bytes()


def test_what_was_said_steers_no_terminal(familiar: Familiar, state: Path) -> None:
    with MemoryStore(state / "memory.db") as store:
        remember(store, "\x1b[2J hidden \x9b31m", "\x07", person="Zo\x1b]0;me\x07", character="Lu\x9bna")
    for command in ("show", "show --turns", "search hidden", "show --json", "show --turns --json"):
        done = familiar(*command.split())
        assert done.status == 0
        assert not [letter for letter in done.out + done.err if ord(letter) in (*range(10), 27, *range(127, 160))]
    assert familiar("show", "--turns", "--json").json["turns"][0]["user_text"] == "\x1b[2J hidden \x9b31m"
    done = familiar("forget", "--everything", answer="y")
    assert "\x1b" not in done.out
    assert "\x9b" not in done.out
    assert done.out.endswith("forgotten\n")
