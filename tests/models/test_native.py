"""What llama.cpp complains of becomes a line that can be shown, whatever a file made it say."""

from pathlib import Path

import numpy as np
import pytest

from models.errors import ModelFileError
from models.loading import EngineSettings, LoadedModel
from tests.models.tiny_gguf import gguf_bytes


def test_a_complaint_with_words_of_the_file_in_it_is_one_short_printable_line(tmp_path: Path) -> None:
    path = tmp_path / "hostile.gguf"
    unheard_of = "x\x1b[2J\nall is well " + "y" * 5_000
    path.write_bytes(gguf_bytes({"general.architecture": unheard_of}, {"output.weight": np.ones((4, 8), np.float32)}))
    with pytest.raises(ModelFileError, match="unknown model architecture") as caught:
        LoadedModel(path, EngineSettings(n_ctx=256, threads=1))
    complaint = str(caught.value).removeprefix(str(path))
    assert "x [2J all is well yyy" in complaint
    assert complaint.isprintable()
    assert len(complaint) < 1_300, "four complaints of 300 characters"
