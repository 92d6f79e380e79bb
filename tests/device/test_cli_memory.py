"""`familiar memory ...` as a parent uses it: seen, searched, taken along, forgotten, mended; never a traceback."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC
from pathlib import Path

import pytest

from device.continuity import talk_file
from memory import database
from memory.forgetting import forget
from memory.learning import learn
from memory.selecting import Selection
from memory.store import MemoryStore
from tests.device.memory_commands import Familiar, own_state
from tests.memory.filling import HOUR_S, SAID, STARTED_AT, all_bytes, fill
from tests.memory.making import remember


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return own_state(tmp_path, monkeypatch)


@pytest.fixture
def familiar(state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Familiar:
    return Familiar(monkeypatch, capsys)


@pytest.fixture
def filled(state: Path) -> Path:
    """The file of a memory with something in every table."""
    path = state / "memory.db"
    with MemoryStore(path) as store:
        fill(store)
    return path


@pytest.mark.parametrize("command", ["show", "search x", "forget --everything --yes", "sleep", "verify"])
@pytest.mark.parametrize("as_json", [False, True])
def test_where_nothing_was_ever_remembered_one_line_says_so(
    familiar: Familiar, state: Path, command: str, as_json: bool
) -> None:
    done = familiar(*command.split(), *(["--json"] if as_json else []))
    assert (done.status, done.err) == (0, "")
    if as_json:
        assert isinstance(done.json, dict)
    else:
        assert done.out == f"nothing is remembered yet: there is no {state / 'memory.db'}\n"
    assert not state.exists(), "looking makes nothing"


def test_who_is_known_is_shown(familiar: Familiar, filled: Path) -> None:
    shown = familiar("show").out
    assert "Anna and Luna: 3 turns, 2 facts, 1 summary; from 2023-11-14 to 2023-11-15" in " ".join(shown.split())
    known = familiar("show", "--json").json["known"]
    assert [(one["person"], one["character"], one["n_turns"]) for one in known] == [
        ("Anna", "Luna", 3), ("Anna", "Rex", 1), ("Ben", "Luna", 2)
    ]  # fmt: skip
    assert familiar("show", "--json", "--person", "Ben").json["known"] == known[2:]


def test_facts_are_shown_with_the_words_they_came_from(familiar: Familiar, filled: Path) -> None:
    shown = familiar("show", "--facts", "--character", "Luna").out
    assert "Anna's kitten is called Schnurri. (04-01)" in shown
    assert f'turn 1, 2023-11-14: "{SAID[0][2]}"' in " ".join(shown.split())
    first = familiar("show", "--facts", "--json").json["facts"][0]
    assert (first["object"], first["turn_ids"], first["from"][0]["text"]) == ("kitten called Schnurri", [1], SAID[0][2])


def test_turns_summaries_and_moods_are_shown(familiar: Familiar, filled: Path) -> None:
    shown = familiar("show", "--turns", "--last", "2", "--summaries", "--mood").out
    assert SAID[5][2] in shown
    assert SAID[3][2] not in shown
    assert "The kitten flew to Zanzibar" in shown
    assert "Luna: pleasure +0.10, arousal +0.20, dominance +0.30" in shown
    assert "darkness 1.00" in shown
    assert max(map(len, shown.splitlines())) <= 80
    data = familiar("show", "--turns", "--summaries", "--mood", "--person", "Anna", "--json").json
    assert [turn["turn_id"] for turn in data["turns"]] == [1, 2, 3, 4]
    assert [summary["text"] for summary in data["summaries"]] == ["The kitten flew to Zanzibar"]


def test_what_was_said_is_found_by_its_words(familiar: Familiar, filled: Path) -> None:
    shown = familiar("search", "red", "mittens").out
    assert f"Anna: {SAID[0][2]}" in shown
    found = familiar("search", "thunderstorms", "--json").json["found"]
    assert ("Ben", 5) in [(hit["person"], hit["turn"]) for hit in found]
    assert {hit["person"] for hit in found} == {"Ben"}
    assert familiar("search", "thunderstorms", "--person", "Anna", "--json").json["found"] == []
    assert familiar("search", "bicycle").out == "nothing was found\n"


def test_words_are_shown_as_they_are_and_names_may_be_any(familiar: Familiar, filled: Path) -> None:
    name = "Zoë [bold]O'Neil[/] 小明"
    with MemoryStore(filled) as store:
        remember(store, "[red]look[/red] \x1b[31m :smile:", person=name)
    assert "[bold]O'Neil[/]" in familiar("show").out
    shown = familiar("show", "--turns", "--person", name).out
    assert "[red]look[/red]" in shown
    assert ":smile:" in shown
    assert familiar("forget", "--person", name, "--yes").status == 0


def test_an_unknown_name_is_answered_with_the_nearest(familiar: Familiar, filled: Path) -> None:
    for command in (["show"], ["search", "x"], ["forget", "--yes"], ["export", "out.json"]):
        done = familiar(*command, "--person", "ana")
        assert (done.status, done.out) == (1, "")
        assert done.err == "familiar: no person called 'ana' is known: did you mean 'Anna'?\n"
    done = familiar("show", "--character", "Xqz")
    assert done.err == "familiar: no character called 'Xqz' is known; there are 'Luna', 'Rex'\n"


def test_forgetting_shows_asks_and_then_is_thorough(familiar: Familiar, filled: Path, state: Path) -> None:
    states = state / "states"
    states.mkdir()
    for person, character in (("Anna", "Luna"), ("Ben", "Luna")):
        talk_file(states, person, character).write_text(f"{person} said xylophones")
    kept = talk_file(states, "Ben", "Luna")
    done = familiar("forget", "--person", "Anna", answer="n")
    assert done.status == 1
    assert "4 turns, 2 facts, 1 summaries, 1 stimuli\n  Anna and Luna\n  Anna and Rex" in done.out
    assert b"xylophones" in all_bytes(state)
    done = familiar("forget", "--person", "Anna", answer="y")
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith("forgotten\n")
    assert list(states.iterdir()) == [kept]
    kept.unlink()
    assert not [word for word in (b"anna", b"xylophon", b"mitten", b"schnurri") if word in all_bytes(state)]


def test_forgetting_for_programs_only_shows_without_yes(familiar: Familiar, filled: Path) -> None:
    shown = familiar("forget", "--words", "xylophones", "--json").json
    assert shown["would_forget"]["turns"] == 2
    done = familiar("forget", "--words", "xylophones", "--words", "marmalade", "--json", "--yes").json
    assert done["forgotten"]["turns"] == 3
    assert done["troubles"] == []
    assert familiar("forget", "--words", "xylophones", "--yes").out == "nothing of that kind is remembered\n"


@pytest.mark.parametrize(
    ("arguments", "turns"),
    [
        (["--turn", "1", "--turn", "5"], 2),
        (["--fact", "3"], 0),
        (["--from", "2023-11-15", "--to", "2023-11-15 01:30"], 2),
        (["--to", "2023-11-14"], 2),
        (["--before", "2023-11-15"], 2),
        (["--since", "1h"], 0),
        (["--character", "Rex", "--everything"], 1),
        (["--everything"], 6),
    ],
)
def test_what_is_forgotten_can_be_chosen(familiar: Familiar, filled: Path, arguments: list[str], turns: int) -> None:
    assert STARTED_AT % 86400 == 22 * HOUR_S + 800
    assert familiar("forget", *arguments, "--json").json["would_forget"]["turns"] == turns


@pytest.mark.parametrize(
    "arguments",
    [
        ["forget"],
        ["forget", "--since", "soon"],
        ["forget", "--from", "tomorrow"],
        ["forget", "--from", "2025-02-01", "--to", "2025-01-01"],
        ["forget", "--from", "2025-02-01", "--since", "2h"],
        ["forget", "--everything", "--words", "x"],
        ["forget", "--person", "Anna"],  # nobody can be asked here
        ["forget", "--turn", "one"],
        ["show", "--last", "0"],
        ["search"],
        ["dance"],
    ],
)
def test_wrong_usage_is_exit_status_2(familiar: Familiar, filled: Path, arguments: list[str]) -> None:
    before = filled.read_bytes()
    assert familiar(*arguments).status == 2
    assert filled.read_bytes() == before


def test_words_of_no_letters_are_said(familiar: Familiar, filled: Path) -> None:
    done = familiar("forget", "--words", "?!", "--yes")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "there is no word in" in done.err


def test_copies_are_named_and_go_with_everything(familiar: Familiar, filled: Path, state: Path) -> None:
    copy = state / "memory.corrupt-20260101T000000.000000Z.db"
    copy.write_bytes(b"xylophones")
    done = familiar("forget", "--turn", "3", "--yes")
    assert copy.name in done.err
    assert "forget --copies" in done.err
    assert familiar("verify").status == 1
    assert copy.name in familiar("forget", "--copies", answer="n").out
    assert copy.exists()
    done = familiar("forget", "--everything", "--yes", "--json")
    assert done.json["copies_removed"] == [copy.name]
    assert not copy.exists()
    assert b"xylophon" not in all_bytes(state)


def test_beside_a_running_companion_forgetting_works_and_says_so(familiar: Familiar, filled: Path, state: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from memory.store import MemoryStore\n"
        "store = MemoryStore(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(filled)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as companion:
        assert companion.stdout is not None
        assert companion.stdout.readline() == "open\n"
        done = familiar("forget", "--person", "Anna", "--yes")
        assert done.status == 0
        assert "a companion has it in mind until it is started again" in done.err
        assert b"xylophon" not in all_bytes(state)
        companion.communicate()


def test_a_memory_is_taken_along(
    familiar: Familiar, filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again = tmp_path / "first.json", tmp_path / "again.json"
    assert familiar("export", str(first)).status == 0
    monkeypatch.setenv("FAMILIAR_STATE", str(tmp_path / "elsewhere"))
    assert familiar("import", str(first)).out == "6 turns, 4 facts and 2 summaries came in\n"
    assert familiar("export", str(again), "--json").json["file"] == str(again)
    assert again.read_bytes() == first.read_bytes()
    assert familiar("import", str(first), "--json").json == {"turns": 0, "known_turns": 6, "facts": 0, "summaries": 0}


def test_what_cannot_be_imported_or_exported_is_one_line(familiar: Familiar, state: Path, tmp_path: Path) -> None:
    done = familiar("export", str(tmp_path / "out.json"))
    assert (done.status, done.err) == (1, "familiar: nothing is remembered yet: there is nothing to export\n")
    done = familiar("import", str(tmp_path / "nowhere.json"))
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert not state.exists()
    (tmp_path / "cut.json").write_text('{"format": "familiar-mem')
    done = familiar("import", str(tmp_path / "cut.json"))
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "it is cut short" in done.err


def test_a_sound_memory_is_sound_and_another_is_mended(familiar: Familiar, filled: Path) -> None:
    assert familiar("verify").out == f"{filled} is sound\n"
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        connection.execute("INSERT INTO utterances(utterances) VALUES ('delete-all')")
    done = familiar("verify", "--json")
    assert (done.status, done.json["ok"]) == (1, False)
    assert "to mend it: familiar memory verify --repair" in familiar("verify").out
    assert familiar("verify", "--repair").status == 0
    assert familiar("verify", "--json").json == {"ok": True, "troubles": []}


def test_sleep_lets_leave_what_is_too_old_and_puts_the_rest_in_order(
    familiar: Familiar, filled: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert familiar("sleep").status == 0
    assert familiar("sleep").out == "nothing was to be done\n"
    monkeypatch.setenv("FAMILIAR_MEMORY__KEEP_DAYS", "365")
    assert familiar("sleep", "--json").json["left"] == 6
    assert b"xylophon" not in all_bytes(state)


def test_a_memory_that_is_switched_off_is_shown_with_a_word_about_it(
    familiar: Familiar, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAMILIAR_MEMORY__ENABLED", "false")
    done = familiar("show")
    assert (done.status, done.err.count("\n")) == (0, 1)
    assert "memory is switched off" in done.err
    assert "Anna and Luna" in done.out


def test_a_memory_is_encrypted_and_decrypted(
    familiar: Familiar, filled: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sqlcipher3", reason="SQLCipher, the extra `cipher`, is not installed")
    assert familiar("encrypt").err == "familiar: memory.key_file is not set: name the file of the key there\n"
    key = tmp_path / "key"
    key.write_text("correct horse battery\n")
    key.chmod(0o600)
    monkeypatch.setenv("FAMILIAR_MEMORY__KEY_FILE", str(key))
    done = familiar("show")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "is not encrypted, but memory.key_file names a key" in done.err
    assert familiar("encrypt").out == f"{filled} is encrypted\n"
    assert b"mitten" not in all_bytes(state)
    assert "Anna and Luna" in familiar("show").out
    assert familiar("verify").status == 0
    monkeypatch.delenv("FAMILIAR_MEMORY__KEY_FILE")
    done = familiar("show")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "is encrypted; name the file of its key" in done.err
    monkeypatch.setenv("FAMILIAR_MEMORY__KEY_FILE", str(key))
    assert familiar("decrypt").out.startswith(f"{filled} is decrypted; take memory.key_file out")
    monkeypatch.delenv("FAMILIAR_MEMORY__KEY_FILE")
    assert "Anna and Luna" in familiar("show").out


@pytest.mark.parametrize("command", ["show", "search x", "forget --everything --yes", "verify", "sleep"])
def test_a_damaged_or_foreign_file_gets_no_traceback(familiar: Familiar, filled: Path, command: str) -> None:
    filled.write_bytes(b"SQLite format 3\0" + b"damaged " * 1000)
    done = familiar(*command.split())
    assert done.status in (0, 1)
    filled.unlink()
    with closing(sqlite3.connect(filled)) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")
    done = familiar(*command.split())
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "is another program's database" in done.err


def test_a_wiping_that_cannot_be_done_now_is_told(
    familiar: Familiar, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(filled, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM turns").fetchall()
        done = familiar("forget", "--person", "Anna", "--yes")
        assert done.status == 0
        assert "it is forgotten, but can still be read on the disk until the next start" in done.err
    with MemoryStore(filled) as store:
        assert forget(store, Selection(person="Anna")).is_nothing


def test_of_somebody_without_a_name_facts_are_told_as_to_them(familiar: Familiar, state: Path) -> None:
    with MemoryStore(state / "memory.db") as store:
        remember(store, "My dog is called Rex.", person="you", character="Pip")
        learn(store, "you", "Pip", UTC, 2e9)
    assert "Your dog is called Rex." in familiar("show", "--facts").out
    assert "1 turn, 1 fact, 0 summaries" in familiar("show").out
