"""What a sentence means and what is felt in it: one small network, two answers.

Reads the folder of an encoder (`model.onnx` and its `weights.bin`, `vocab.txt`, `encoder.json`; one ships in
`encoders/`, made by `tools.encoder_recipe`) and turns texts into sentence embeddings, those of all-MiniLM-L6-v2, and
probabilities of the 28 emotions of GoEmotions. Blocking, one thread; `models.encoder_worker` is the same for an event
loop. What is remembered by the embeddings and what the emotions do to a mood is left to others.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.emotions import EKMAN, EMOTIONS
from models.errors import ModelError, ModelFileError
from models.printable import clipped

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

SHIPPED = Path(__file__).parent / "encoders" / "minilm-goemotions"
"""The encoder that comes with Familiar."""

GRAPH, WEIGHTS = "model.onnx", "weights.bin"
"""The network: its graph, and the weights in a file that onnxruntime maps. So loading takes 18 MB that belong to the
process alone, where weights within the graph would take 45; the rest is the file's, which the system can drop."""

EMBEDDING_SIZE = 384

MOST_PIECES = 128
"""Word pieces of a text that are read, [CLS] and [SEP] among them: what all-MiniLM-L6-v2 was trained with."""

MOST_LETTERS = 8192
"""Letters of a text that are looked at: 128 word pieces of prose are some 600 letters, and whoever sends 100,000 shall
not make the tokenizer read them all."""

_UNKNOWN = "[UNK]"
_MOST_LETTERS_OF_A_WORD = 100
"""Longer words are unknown ones: BERT's limit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """What the encoder says of a text. The arrays are read-only."""

    embedding: NDArray[np.float32]
    """(384,), of unit length: the cosine of two texts is the dot product of their embeddings."""
    emotions: NDArray[np.float32]
    """(28,) probabilities in the order of EMOTIONS, each by itself: a text may hold several emotions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderInfo:
    """What is known of an encoder before its network is loaded."""

    graph_sha256: str
    weights_sha256: str
    vocabulary_sha256: str
    thresholds: tuple[float, ...]
    """From which probability an emotion counts as present, in the order of EMOTIONS; tuned on GoEmotions' dev split."""
    group_thresholds: tuple[float, ...]
    """The same for `group_probabilities`, in the order of EKMAN."""

    @property
    def fingerprint(self) -> str:
        """Of its network, a SHA-256 made of those of graph and weights: embeddings with another fingerprint are not to
        be compared with its own."""
        return hashlib.sha256(f"{self.graph_sha256} {self.weights_sha256}".encode()).hexdigest()

    def present(self, emotions: NDArray[np.float32]) -> tuple[str, ...]:
        """The labels whose probability, of `Encoded.emotions`, reaches their threshold; the clearest first."""
        return _reached(EMOTIONS, emotions, self.thresholds)

    def present_groups(self, emotions: NDArray[np.float32]) -> tuple[str, ...]:
        """As `present`, for Ekman's basic emotions and neutral."""
        return _reached(tuple(EKMAN), group_probabilities(emotions), self.group_thresholds)


def group_probabilities(emotions: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 28) probabilities of emotions -> (..., 7), in the order of EKMAN: that any of the group is felt, each
    emotion taken by itself."""
    columns = [[EMOTIONS.index(name) for name in names] for names in EKMAN.values()]
    return np.stack([1 - np.prod(1 - emotions[..., group], axis=-1) for group in columns], axis=-1)


def read_info(folder: Path = SHIPPED) -> EncoderInfo:
    """What `encoder.json` of a folder says. Raises ModelFileError."""
    path = folder / "encoder.json"
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        info = EncoderInfo(
            graph_sha256=str(content["sha256"][GRAPH]),
            weights_sha256=str(content["sha256"][WEIGHTS]),
            vocabulary_sha256=str(content["sha256"]["vocab.txt"]),
            thresholds=tuple(float(content["thresholds"][name]) for name in EMOTIONS),
            group_thresholds=tuple(float(content["group_thresholds"][name]) for name in EKMAN),
        )
    except OSError as error:
        raise ModelFileError(f"there is no encoder in {folder}: {path.name}: {error.strerror}{_MEND}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{path} is damaged or describes no encoder ({type(error).__name__}){_MEND}") from error
    if not all(0 < threshold <= 1 for threshold in info.thresholds + info.group_thresholds):
        raise ModelFileError(f"{path} has a threshold that is no probability{_MEND}")
    return info


def load_tokenizer(path: Path) -> "Tokenizer":
    """BERT's uncased word pieces from `vocab.txt`. Control pieces have no spelling here: nobody can say [SEP]."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(
        models.WordPiece.from_file(str(path), unk_token=_UNKNOWN, max_input_chars_per_word=_MOST_LETTERS_OF_A_WORD)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.enable_truncation(MOST_PIECES)
    return tokenizer


def open_network(path: Path) -> "InferenceSession":
    """The network of an encoder, on the thread of whoever runs it; its weights, if they are in a file of their own, are
    looked for beside `path`. Raises ModelFileError."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # An arena keeps what the longest text needed; beside a language model, memory is better given back. Weights outside
    # of it, too, and no sentence takes longer.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _engine_errors() as error:
        reason = clipped(str(error), 120)
        raise ModelFileError(f"{path}: onnxruntime {onnxruntime.__version__} cannot load it: {reason}") from error


class Encoder:
    """A loaded encoder. Takes some 0.1 s to load, where onnxruntime was imported already; belongs to one thread."""

    def __init__(self, folder: Path = SHIPPED) -> None:
        """Load and check the files of `folder`. Raises ModelFileError where one is missing or not what it was."""
        self.info = read_info(folder)
        _check(folder / "vocab.txt", self.info.vocabulary_sha256)
        self._tokenizer = load_tokenizer(folder / "vocab.txt")
        _check(folder / GRAPH, self.info.graph_sha256)
        _check(folder / WEIGHTS, self.info.weights_sha256)
        self._network = open_network(folder / GRAPH)

    @property
    def fingerprint(self) -> str:
        """See `EncoderInfo.fingerprint`."""
        return self.info.fingerprint

    def present(self, emotions: NDArray[np.float32]) -> tuple[str, ...]:
        """See `EncoderInfo.present`."""
        return self.info.present(emotions)

    def encode(self, texts: Sequence[str]) -> tuple[Encoded, ...]:
        """Embedding and emotions of each text, whatever it consists of; beyond 128 word pieces it is not read.

        Texts are run one by one: each gets the same answer, to the bit, whatever it stands beside.
        """
        return tuple(self.encode_pieces(self.word_pieces(text)) for text in texts)

    def word_pieces(self, text: str) -> tuple[int, ...]:
        """The text as the network sees it: texts that differ in case or spaces alone are the same."""
        # UTF-8 has no place for lone surrogates, and the tokenizer wants UTF-8.
        clean = text[:MOST_LETTERS].encode("utf-8", errors="replace").decode("utf-8")
        return tuple(self._tokenizer.encode(clean).ids)

    def encode_pieces(self, pieces: Sequence[int]) -> Encoded:
        """As `encode`, for what `word_pieces` gave. Raises ModelError where onnxruntime fails, say for want of
        memory."""
        try:
            embedding, emotions = self._network.run(_OUTPUTS, {"input_ids": np.asarray(pieces, np.int64)})
        except _engine_errors() as error:
            # Without onnxruntime's own words, which may tell of what was read.
            raise ModelError(f"the encoder failed at a text ({type(error).__name__}); is there memory left?") from error
        embedding.flags.writeable = emotions.flags.writeable = False
        return Encoded(embedding=embedding, emotions=emotions)


def _engine_errors() -> tuple[type[Exception], ...]:
    """All that onnxruntime is known to raise, which has no base class of its own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as ort

    own = (
        ort.EngineError,
        ort.EPFail,
        ort.Fail,
        ort.InvalidArgument,
        ort.InvalidGraph,
        ort.InvalidProtobuf,
        ort.NoModel,
        ort.NoSuchFile,
        ort.NotImplemented,
        ort.RuntimeException,
    )
    return (*own, RuntimeError, MemoryError)  # those of C++: std::exception and std::bad_alloc


_MEND = "; install Familiar again"
_OUTPUTS = ("embedding", "emotions")


def _reached(names: tuple[str, ...], emotions: NDArray[np.float32], least: tuple[float, ...]) -> tuple[str, ...]:
    thresholds = np.asarray(least, np.float32)
    clearest = np.argsort(-emotions / thresholds, kind="stable")
    return tuple(names[index] for index in clearest if emotions[index] >= thresholds[index])


def _check(path: Path, sha256: str) -> None:
    """The files were made together: with one of another make, thresholds and embeddings would be silently wrong."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelFileError(f"the encoder lacks {path}: {error.strerror}{_MEND}") from error
    if found != sha256:
        raise ModelFileError(f"{path} is damaged or of another encoder: its SHA-256 is not that of encoder.json{_MEND}")
