"""A Whisper model small enough to be made by a test: whatever it hears, it says the words it was made with.

Real CTranslate2 files with a real tokenizer, so that all of faster-whisper runs on it. Attention and feed-forward
layers are zero; what is left is a table from one token to the next, written into embeddings (random, so nearly
orthogonal) and projection.
"""

import itertools
import json
from pathlib import Path

import ctranslate2.specs
import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models, pre_tokenizers

D_MODEL, N_HEADS, N_MELS = 64, 2, 80
END, START, NO_SPEECH, NO_TIMESTAMPS = "<|endoftext|>", "<|startoftranscript|>", "<|nospeech|>", "<|notimestamps|>"
SPECIALS = (
    *(END, START, "<|en|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"),
    *(NO_SPEECH, NO_TIMESTAMPS),
    *(f"<|{tick * 0.02:.2f}|>" for tick in range(1501)),
)


def save_micro_whisper(folder: Path, says: str, *, sure: bool = True, no_speech: bool = False) -> Path:
    """An English-only model that says `says`, sure of it or only guessing, and that does or does not take what it hears
    for speech."""
    words = ["Ġ" + word for word in says.split()]
    assert len(set(words)) == len(words), "one token has one follower"
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = [*bytes_, *words, *SPECIALS]
    ids = {token: index for index, token in enumerate(vocabulary)}

    rng = np.random.default_rng(7)
    embeddings = rng.normal(0, 1, (len(vocabulary), D_MODEL)).astype(np.float32)
    projection = np.zeros_like(embeddings)
    for token, follower in itertools.pairwise((NO_TIMESTAMPS, *words, END)):
        projection[ids[follower]] += embeddings[ids[token]] * (1.0 if sure else 0.05)
    if no_speech:
        projection[ids[NO_SPEECH]] = embeddings[ids[START]]

    spec = _spec(embeddings, projection)
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], [ids["Ġ"], ids[END]]
    spec.config.lang_ids, spec.config.alignment_heads = [ids["<|en|>"]], [[0, 0]]
    spec.validate()
    spec.optimize(quantization="int8")
    folder.mkdir()
    spec.save(str(folder))
    _save_tokenizer(folder / "tokenizer.json", [*bytes_, *words])
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": N_MELS}), encoding="utf-8")
    return folder


def _spec(embeddings: NDArray[np.float32], projection: NDArray[np.float32]) -> ctranslate2.specs.WhisperSpec:
    spec = ctranslate2.specs.WhisperSpec(1, N_HEADS, 1, N_HEADS)
    d = D_MODEL
    spec.encoder.conv1.weight, spec.encoder.conv1.bias = _zeros(d, N_MELS, 3), _zeros(d)
    spec.encoder.conv2.weight, spec.encoder.conv2.bias = _zeros(d, d, 3), _zeros(d)
    spec.encoder.position_encodings.encodings = _zeros(1500, d)
    spec.decoder.position_encodings.encodings = _zeros(448, d)
    spec.decoder.embeddings.weight, spec.decoder.projection.weight = embeddings, projection
    encoder, decoder = spec.encoder.layer[0], spec.decoder.layer[0]
    for linear, n_out in (
        (encoder.self_attention.linear[0], 3 * d),
        (encoder.self_attention.linear[1], d),
        (decoder.self_attention.linear[0], 3 * d),
        (decoder.self_attention.linear[1], d),
        (decoder.attention.linear[0], d),
        (decoder.attention.linear[1], 2 * d),
        (decoder.attention.linear[2], d),
        (encoder.ffn.linear_0, d),
        (encoder.ffn.linear_1, d),
        (decoder.ffn.linear_0, d),
        (decoder.ffn.linear_1, d),
    ):
        linear.weight, linear.bias = _zeros(n_out, d), _zeros(n_out)
    for norm in (
        *(spec.encoder.layer_norm, encoder.self_attention.layer_norm, encoder.ffn.layer_norm),
        *(spec.decoder.layer_norm, decoder.self_attention.layer_norm, decoder.attention.layer_norm),
        decoder.ffn.layer_norm,
    ):
        norm.gamma, norm.beta = np.ones(d, np.float32), _zeros(d)
    return spec


def _zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


def _save_tokenizer(path: Path, tokens: list[str]) -> None:
    tokenizer = tokenizers.Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.save(str(path))
