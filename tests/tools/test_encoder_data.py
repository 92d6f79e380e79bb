"""GoEmotions is read as it is published, and a wrong line is named."""

from pathlib import Path

import pytest

from models.emotions import EMOTIONS
from models.encoder import SHIPPED
from models.errors import ModelFileError
from tests.tools.small_goemotions import write_goemotions
from tools.encoder_data import read_split, word_pieces


def test_a_split_is_texts_and_their_labels(tmp_path: Path) -> None:
    write_goemotions(tmp_path, test="I love it\t18\ta1\nlate\u2028again, and sad\t9,25\ta2\n")
    examples = read_split(tmp_path, "test")
    assert examples.texts == ("I love it", "late\u2028again, and sad")
    assert [[EMOTIONS[index] for index in row.nonzero()[0]] for row in examples.labels] == [
        ["love"],
        ["disappointment", "sadness"],
    ]


@pytest.mark.parametrize("line", ["no tabs", "text\t28\tid", "text\t-1\tid", "text\t\tid", "text\tx\tid", "a\tb\t1\t2"])
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    write_goemotions(tmp_path, dev=f"fine\t0\ta1\n{line}\n")
    with pytest.raises(ModelFileError, match=r"dev\.tsv, line 2: expected"):
        read_split(tmp_path, "dev")


@pytest.mark.parametrize("name", ["labels.txt", "train.tsv"])
def test_what_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    write_goemotions(tmp_path, train="fine\t0\ta1\n")
    (tmp_path / name).unlink()
    with pytest.raises(ModelFileError, match=name):
        read_split(tmp_path, "train")


def test_another_list_of_labels_is_refused(tmp_path: Path) -> None:
    write_goemotions(tmp_path, test="fine\t0\ta1\n")
    (tmp_path / "labels.txt").write_text("joy\nanger\n", encoding="utf-8")
    with pytest.raises(ModelFileError, match="28 labels"):
        read_split(tmp_path, "test")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    write_goemotions(tmp_path)
    (tmp_path / "test.tsv").write_bytes(b"\xff\t0\tid\n")
    with pytest.raises(ModelFileError, match="UTF-8"):
        read_split(tmp_path, "test")


def test_word_pieces_are_cut_at_what_the_encoder_reads() -> None:
    short, long = word_pieces(["Hello", "so " * 500], SHIPPED / "vocab.txt")
    assert len(short) == 3
    assert len(long) == 128
