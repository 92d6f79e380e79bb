"""The shipped encoder: any text gets an answer, and files that do not belong together are refused."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.emotions import EKMAN, EMOTIONS
from models.encoder import EMBEDDING_SIZE, MOST_PIECES, SHIPPED, Encoded, Encoder, group_probabilities, read_info
from models.errors import ModelError, ModelFileError

MINILM = Path(__file__).parents[2].parent / "shared" / "assets" / "embed" / "minilm"

NETWORK = ("model.onnx", "weights.bin")

ODD_TEXTS = {
    "nothing": "",
    "a space": " ",
    "NULs": "\0\0\0",
    "a lone surrogate": "hello \ud83d there",
    "emoji": "😀😭🎉",
    "endless": "a" * 100_000,
    "many words": "so happy " * 12_500,
    "another script": "你好 世界",
    "control pieces": "[CLS] [SEP] [MASK] [PAD]",
    "marks upon marks": "e" + "\u0301" * 5000,
}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The shipped folder, for a test to damage."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "encoder"))


def encode(encoder: Encoder, text: str) -> Encoded:
    (encoded,) = encoder.encode([text])
    return encoded


def cosine(encoder: Encoder, one: str, other: str) -> float:
    return float(encode(encoder, one).embedding @ encode(encoder, other).embedding)


def check_shape(encoded: Encoded) -> None:
    assert encoded.embedding.shape == (EMBEDDING_SIZE,)
    assert encoded.embedding.dtype == encoded.emotions.dtype == np.float32
    assert np.linalg.norm(encoded.embedding) == pytest.approx(1, abs=1e-5)
    assert encoded.emotions.shape == (len(EMOTIONS),)
    assert ((encoded.emotions >= 0) & (encoded.emotions <= 1)).all()


@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())
def test_odd_texts_get_an_answer(encoder: Encoder, text: str) -> None:
    check_shape(encode(encoder, text))


@given(text=st.text(st.characters(codec=None), max_size=300))
@settings(deadline=None, max_examples=40)
def test_any_text_gets_an_answer(encoder: Encoder, text: str) -> None:
    check_shape(encode(encoder, text))


def test_long_texts_are_read_as_far_as_the_network_was_trained(encoder: Encoder) -> None:
    pieces = encoder.word_pieces("so happy " * 12_500)
    assert len(pieces) == MOST_PIECES
    assert pieces[-1] == encoder.word_pieces("")[-1]  # [SEP] is not what is cut off


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("I am so happy that you came!", "joy"),
        ("Thank you so much for the present.", "gratitude"),
        ("I'm scared of the dark.", "fear"),
        ("I miss my grandma, I cried all day.", "sadness"),
        ("Shut up, you stupid thing!", "anger"),
        ("I love you.", "love"),
        ("What does that mean? How does it work?", "curiosity"),
        ("The bus leaves at eight.", "neutral"),
    ],
)
def test_plain_feelings_are_told(encoder: Encoder, text: str, emotion: str) -> None:
    assert encoder.present(encode(encoder, text).emotions)[0] == emotion


def test_meaning_is_nearer_than_words(encoder: Encoder) -> None:
    near = cosine(encoder, "My dog ran away.", "The puppy has disappeared.")
    assert near > cosine(encoder, "My dog ran away.", "My time ran out.") + 0.1


def test_the_embedding_is_that_of_all_minilm_l6_v2(encoder: Encoder) -> None:
    """Against the int8 network in the assets, which is itself within 0.984 of the original."""
    if not MINILM.is_dir():
        pytest.skip(f"the reference network is not there: {MINILM}")
    import onnxruntime

    reference = onnxruntime.InferenceSession(str(MINILM / "model_int8.onnx"), providers=["CPUExecutionProvider"])
    cosines = []
    for text in ("I am so happy that you came!", "My dog is called Biscuit and he is afraid of cats.", "Good night."):
        ids = np.asarray([encoder.word_pieces(text)], np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        ((original,),) = reference.run(["sentence_embedding"], inputs)
        cosines.append(float(encode(encoder, text).embedding @ original / np.linalg.norm(original)))
    assert np.mean(cosines) >= 0.97


def test_word_pieces_are_those_of_the_original_tokenizer(encoder: Encoder) -> None:
    if not MINILM.is_dir():
        pytest.skip(f"the reference tokenizer is not there: {MINILM}")
    from tokenizers import Tokenizer

    original = Tokenizer.from_file(str(MINILM / "tokenizer.json"))
    original.no_padding()
    texts = [text for name, text in ODD_TEXTS.items() if name not in {"a lone surrogate", "control pieces"}]
    for text in [*texts, "Ünïcode, naïve; don't — “quotes” 1.5€ ﬁne", "supercalifragilistic\tantidisestablishment"]:
        assert list(encoder.word_pieces(text)) == original.encode(text).ids


def test_a_text_has_one_answer_whatever_it_stands_beside(encoder: Encoder) -> None:
    alone = encode(encoder, "Hello there!")
    _, among, _ = encoder.encode(["I hate this", "Hello there!", "x " * 500])
    assert (among.embedding == alone.embedding).all()
    assert (among.emotions == alone.emotions).all()
    assert encoder.encode([]) == ()


def test_answers_cannot_be_changed_by_who_shares_them(encoder: Encoder) -> None:
    encoded = encode(encoder, "hello")
    for array in (encoded.embedding, encoded.emotions):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_labels_are_present_from_their_threshold_on_the_clearest_first(encoder: Encoder) -> None:
    emotions = np.asarray(encoder.info.thresholds, np.float32)
    assert set(encoder.present(emotions)) == set(EMOTIONS)
    below = np.nextafter(emotions, np.float32(0))
    assert encoder.present(below) == ()
    below[[EMOTIONS.index("grief"), EMOTIONS.index("joy")]] *= np.array([3, 2], np.float32)
    assert encoder.present(below) == ("grief", "joy")


def test_a_group_is_felt_where_any_of_its_emotions_is(encoder: Encoder) -> None:
    emotions = np.zeros(len(EMOTIONS), np.float32)
    emotions[[EMOTIONS.index("fear"), EMOTIONS.index("nervousness")]] = 0.5
    groups = group_probabilities(emotions)
    assert dict(zip(EKMAN, groups.tolist(), strict=True)) == {name: 0.75 if name == "fear" else 0 for name in EKMAN}
    assert encoder.info.present_groups(emotions) == ("fear",)


@given(st.lists(st.floats(0, 1, width=32), min_size=28, max_size=28))
@settings(deadline=None, max_examples=50)
def test_a_group_is_at_least_as_likely_as_each_of_its_emotions(values: list[float]) -> None:
    emotions: NDArray[np.float32] = np.asarray(values, np.float32)
    for (_, names), group in zip(EKMAN.items(), group_probabilities(emotions), strict=True):
        assert group >= max(emotions[EMOTIONS.index(name)] for name in names) - 1e-6
        assert group <= 1


def test_every_emotion_is_in_exactly_one_group() -> None:
    assert sorted(name for names in EKMAN.values() for name in names) == sorted(EMOTIONS)


def test_the_shipped_files_are_small_and_say_what_they_are(encoder: Encoder) -> None:
    assert sum((SHIPPED / name).stat().st_size for name in NETWORK) <= 31_000_000
    sums = [hashlib.sha256((SHIPPED / name).read_bytes()).hexdigest() for name in NETWORK]
    assert encoder.fingerprint == hashlib.sha256(" ".join(sums).encode()).hexdigest()
    card, licence = ((SHIPPED / name).read_text(encoding="utf-8") for name in ("MODEL_CARD.md", "LICENSE"))
    assert all(each in card for each in (encoder.fingerprint, *sums))
    assert "Apache License" in licence
    assert "GoEmotions" in licence


@pytest.mark.parametrize("name", ["encoder.json", "vocab.txt", *NETWORK])
def test_a_missing_file_is_one_line(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ModelFileError, match=rf"{name}: No such file.*install") as raised:
        Encoder(copied)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["vocab.txt", *NETWORK])
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_file_is_one_line(copied: Path, name: str, damage: str) -> None:
    whole = bytearray((copied / name).read_bytes())
    if damage == "flipped":
        whole[len(whole) // 2] ^= 1
    (copied / name).write_bytes(whole if damage == "flipped" else whole[: len(whole) // 2 if damage == "cut" else 0])
    with pytest.raises(ModelFileError, match=rf"{name} is damaged") as raised:
        Encoder(copied)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "\udcff",
        '{"sha256": 1}',
        '{"sha256": {"model.onnx": "x", "vocab.txt": "x"}}',
        '{"sha256": {"model.onnx": "x", "weights.bin": "x", "vocab.txt": "x"}, "thresholds": []}',
    ],
)
def test_a_damaged_description_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "encoder.json").write_bytes(content.encode("utf-8", errors="surrogateescape"))
    with pytest.raises(ModelFileError, match="damaged") as raised:
        read_info(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("threshold", [0, -1, 1.5, float("nan")])
def test_a_threshold_is_a_probability(tmp_path: Path, threshold: float) -> None:
    content = json.loads((SHIPPED / "encoder.json").read_text(encoding="utf-8"))
    content["thresholds"]["joy"] = threshold
    (tmp_path / "encoder.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ModelFileError, match="threshold"):
        read_info(tmp_path)


def test_a_network_that_onnxruntime_does_not_take_is_one_line(copied: Path) -> None:
    (copied / "model.onnx").write_bytes(b"not a network")
    content = json.loads((copied / "encoder.json").read_text(encoding="utf-8"))
    content["sha256"]["model.onnx"] = hashlib.sha256(b"not a network").hexdigest()
    (copied / "encoder.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"onnxruntime .* cannot load it") as raised:
        Encoder(copied)
    assert "\n" not in str(raised.value)


def test_what_onnxruntime_fails_at_is_one_line_and_the_next_text_is_read(encoder: Encoder) -> None:
    with pytest.raises(ModelError, match="the encoder failed at a text") as raised:
        encoder.encode_pieces([10**9])
    assert "\n" not in str(raised.value)
    check_shape(encode(encoder, "and goes on"))


@pytest.mark.parametrize("error", [RuntimeError("std::exception"), MemoryError("std::bad_alloc")])
def test_what_fails_below_onnxruntime_is_one_line(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Failing:
        def run(self, outputs: object, inputs: object) -> None:
            raise error

    monkeypatch.setattr(encoder, "_network", Failing())
    with pytest.raises(ModelError, match="is there memory left"):
        encode(encoder, "hello")


def test_the_weights_are_mapped_and_not_copied() -> None:
    done = subprocess.run([sys.executable, "-c", _LOAD], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < 30_000  # 18 MB; with the weights within the graph, 45


_LOAD = """
import re
import onnxruntime
from pathlib import Path
from models.encoder import GRAPH, SHIPPED, open_network

def anonymous_kb():
    return int(re.search(r"Anonymous: +(\\d+) kB", Path("/proc/self/smaps_rollup").read_text())[1])

before = anonymous_kb()
network = open_network(SHIPPED / GRAPH)
print(anonymous_kb() - before)
"""
