"""GoEmotions as it is published, and its sentences as word pieces: what the encoder is trained, tuned and judged on.

Reads `train.tsv`, `dev.tsv`, `test.tsv` (text, label numbers, id; no header) and `labels.txt` of the folder `data` of
the GoEmotions repository (Demszky et al. 2020, the split of the paper). What is learnt from them is for others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.emotions import EMOTIONS
from models.encoder import load_tokenizer
from models.errors import ModelFileError

Split = Literal["train", "dev", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Sentences and what people felt in them."""

    texts: tuple[str, ...]
    labels: NDArray[np.bool_]
    """(n, 28), in the order of EMOTIONS; one to five are true in a row."""

    def __len__(self) -> int:
        return len(self.texts)


def read_split(folder: Path, split: Split) -> Examples:
    """One split of GoEmotions. Raises ModelFileError with the line that is wrong."""
    names = _read(folder / "labels.txt").split()
    if tuple(names) != EMOTIONS:
        raise ModelFileError(f"{folder / 'labels.txt'} does not list the 28 labels of GoEmotions in their order")
    path = folder / f"{split}.tsv"
    texts, rows = [], []
    # Not splitlines(): comments contain other characters that Python takes for ends of lines.
    for number, line in enumerate(_read(path).rstrip("\n").split("\n"), start=1):
        fields = line.rstrip("\r").split("\t")
        row = _label_row(fields[1]) if len(fields) == 3 else None
        if row is None:
            raise ModelFileError(f"{path}, line {number}: expected text, label numbers (0-27, commas) and id, by tabs")
        texts.append(fields[0])
        rows.append(row)
    return Examples(texts=tuple(texts), labels=np.stack(rows))


def word_pieces(texts: Sequence[str], vocabulary: Path) -> list[NDArray[np.int64]]:
    """The word pieces of each text, as the encoder reads them."""
    encoded = load_tokenizer(vocabulary).encode_batch(list(texts))
    return [np.asarray(each.ids, np.int64) for each in encoded]


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ModelFileError(
            f"{path}: {error.strerror}; give the folder `data` of the GoEmotions repository"
        ) from error
    except UnicodeDecodeError as error:
        raise ModelFileError(f"{path} is not UTF-8 text (byte {error.start})") from error


def _label_row(field: str) -> NDArray[np.bool_] | None:
    row = np.zeros(len(EMOTIONS), np.bool_)
    for number in field.split(","):
        if not number.isascii() or not number.isdigit() or int(number) >= len(EMOTIONS):
            return None
        row[int(number)] = True
    return row
