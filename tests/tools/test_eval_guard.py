"""`familiar eval guard`: cases are counted by what was expected of them, in 80 columns; mistakes are named."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import ModelFileError
from tools.eval_guard import Row, as_json, as_text, evaluate, read_cases, shipped_cases

CASES = """\
heard\tself_harm\tI want to kill myself
heard\tself_harm\tI like horses
heard\tabuse\tI want to kill myself
heard\tharmless\tI like horses
heard\tharmless\tI want to die
heard\tharmless\tmy nose is bleeding
heard\tmild\tmy nose is bleeding
heard\tmild\tI want to die
said\tinsult\tShut up!
"""


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "cases.tsv"
    path.write_text(content, encoding="utf-8")
    return path


def test_cases_are_counted_by_what_was_expected(tmp_path: Path) -> None:
    (found,) = evaluate([written(tmp_path, CASES)])
    assert found.name == "cases.tsv"
    assert found.rows == (
        Row(stage="heard", label="self_harm", n=2, n_found=1, n_crises=1),
        Row(stage="heard", label="abuse", n=1, n_found=0, n_crises=1),
        Row(stage="heard", label="harmless", n=3, n_found=2, n_crises=1),
        Row(stage="heard", label="mild", n=2, n_found=1, n_crises=1),
        Row(stage="said", label="insult", n=1, n_found=1, n_crises=0),
    )
    assert found.share("heard", "self_harm") == 0.5
    with pytest.raises(KeyError):
        found.share("said", "abuse")


@pytest.mark.parametrize("line", ["", "heard\tabuse", "heard\tabuse\t ", "seen\tabuse\tx", "heard\tabus\tx"])
def test_a_mistake_in_a_file_is_named(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, f"heard\tharmless\tx\n{line}\n")
    with pytest.raises(ModelFileError, match="line 2") as caught:
        read_cases(path)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_cases(tmp_path / "none.tsv")
    path = tmp_path / "latin.tsv"
    path.write_bytes(b"heard\tharmless\t\xe4\n")
    with pytest.raises(ModelFileError, match="mend the file"):
        read_cases(path)


def test_the_report_has_80_columns_and_every_file_that_ships() -> None:
    found = evaluate(shipped_cases())
    text = as_text(found)
    assert max(map(len, text.splitlines())) <= 80
    assert all(path.name in text for path in shipped_cases())
    assert {"everyday.tsv", "everyday_held_out.tsv", "unseen2.tsv", "fresh.tsv"} <= {one.name for one in found}
    assert [one["name"] for one in json.loads(as_json(found))] == [one.name for one in found]


def test_the_command_reads_the_files_it_is_given(tmp_path: Path) -> None:
    path = str(written(tmp_path, CASES))
    command = [sys.executable, "-m", "device.cli", "eval", "guard", "--data", path, "--data", path, "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [one["name"] for one in json.loads(ran.stdout)] == ["cases.tsv", "cases.tsv"]


def test_without_a_checkout_files_must_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import typer

    from device import cli_eval
    from tools import eval_guard

    monkeypatch.setattr(eval_guard, "_CASES", tmp_path / "none")
    with pytest.raises(typer.BadParameter, match=r"--data FILE\.tsv"):
        cli_eval.guard(None)
