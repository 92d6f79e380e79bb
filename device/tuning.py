"""From measurements to a choice: how to run each model on this board, and which one to recommend. Pure.

A measurement (`tools.models_bench` takes it) says how fast one model ran. Generating a token reads all weights once, so
the speed of another model follows from its size; computing a prompt costs as its number of parameters; and what a full
context adds grows with its length, so that the speed in another context than the measured one follows too. The largest
model that fits into memory and speaks faster than people listen is recommended, and the words say why not the next
larger. Reading and writing the measurements is left to `device.tuning_file`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.footprint import KvType

LEAST_DECODE_TPS = 8.0
"""Speech has about 2.5 words a second, some 3.5 tokens. With 8 a second the next clause is there before the one being
heard ends, with room for synthesis beside it."""

MOST_FIRST_CLAUSE_S = 1.5
"""Longer than this after the end of a turn feels like not having been heard."""

NEW_TOKENS, CLAUSE_TOKENS = 40, 12
"""What the first clause waits for: the tokens of the person's words and of what is recalled with them, and its own."""

MEMORY_SHARE = 0.7
RESERVED_BYTES = 700_000_000
"""The model's part of all memory, of which this much stays for the rest: about 0.3 GB for a small Linux and 0.27 GB for
ears, voice and memory (measured with PocketSphinx and eSpeak NG; Whisper base and Piper are about as large)."""

_KV_BYTES_PER_TOKEN = 200_000
"""Upper bound of an f16 cache's size per token, for files that are neither measured nor of the catalogue, whose widest,
SmolLM2-1.7B, takes 196,608. Models below 1B parameters take at most this times their parameters in billions
(Qwen3-0.6B: 114,688)."""

_COMPUTE_BYTES = 50_000_000
"""Room to compute in batches of 64 tokens (6 MB for 9 heads and 2,048 tokens, 20 MB for 32 heads) and for logits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speeds:
    """Tokens a second: of prompts being computed and of replies being made."""

    prefill_tps: float
    decode_tps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """How one model ran here at its best. `empty`, `full` and `full_q8` are its speeds with next to nothing in the
    context and with `n_ctx` tokens in it, in f16 and in q8_0 (None where that cannot be had). `read_bytes` of weights
    are read for a token, `kv_bytes` of f16 cache kept for one. `path` is "" for a stand-in, a model made for measuring
    alone. `gpu_layers` is 0 on the processor, -1 on the GPU. `noise` is by what part repeats differed; `doubt` says why
    the figures are not to be trusted, "" where they are."""

    model: str
    path: str
    file_bytes: int
    file_mtime_ns: int
    n_parameters: int
    read_bytes: int
    kv_bytes: int
    n_ctx: int
    gpu_layers: int
    threads: int
    batch_tokens: int
    flash_attention: bool
    empty: Speeds
    full: Speeds
    full_q8: Speeds | None
    noise: float
    doubt: str

    @property
    def bandwidth_bytes_per_s(self) -> float:
        """What decoding makes of the memory's bandwidth."""
        return self.read_bytes * self.empty.decode_tps


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model to be judged; `kv_bytes` (f16, for a token) is None where nobody knows."""

    name: str
    path: str | None
    size_bytes: int
    n_parameters: float
    kv_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTuning:
    """How to run a model: the parts of `models.engine.EngineSettings` that a benchmark can decide."""

    threads: int
    batch_tokens: int
    gpu_layers: int
    kv_type: KvType
    flash_attention: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be expected of a model here, with a full context of the length that was asked for: `basis` is the
    model whose measurement it rests on, its own where it was measured. `objection` is what speaks against it, in words;
    "" for one that will do."""

    candidate: Candidate
    tuning: EngineTuning
    speeds: Speeds
    memory_bytes: int
    basis: str
    objection: str

    @property
    def first_clause_s(self) -> float:
        """From the end of a turn to the words of the first clause."""
        return first_clause_s(self.speeds)

    @property
    def measured(self) -> bool:
        """Whether this very model was measured."""
        return self.basis == self.candidate.name


def first_clause_s(speeds: Speeds) -> float:
    """Seconds until the first clause of a reply is there."""
    return NEW_TOKENS / speeds.prefill_tps + CLAUSE_TOKENS / speeds.decode_tps


def memory_budget_bytes(total_bytes: int) -> int:
    """What the model may take of a machine's memory."""
    return max(0, int(min(MEMORY_SHARE * total_bytes, total_bytes - RESERVED_BYTES)))


def judge(
    candidates: Iterable[Candidate], measurements: Sequence[Measurement], *, n_ctx: int, budget_bytes: int
) -> list[Verdict]:
    """A verdict for each candidate, largest first. None at all without a measurement."""
    if not measurements:
        return []
    ordered = sorted(candidates, key=lambda one: one.size_bytes, reverse=True)
    return [_verdict(one, measurements, n_ctx=n_ctx, budget_bytes=budget_bytes) for one in ordered]


def choose(verdicts: Sequence[Verdict]) -> Verdict | None:
    """The largest that will do; where none will, the smallest. None of none."""

    def size(verdict: Verdict) -> int:
        return verdict.candidate.size_bytes

    able = [verdict for verdict in verdicts if not verdict.objection]
    return max(able, key=size) if able else min(verdicts, key=size, default=None)


def explain(chosen: Verdict, verdicts: Sequence[Verdict]) -> list[str]:
    """Why this one, and why not the next larger: sentences for people."""
    name = chosen.candidate.name
    how = "measured" if chosen.measured else f"estimated from {chosen.basis}"
    figures = (
        f"{chosen.speeds.decode_tps:.0f} tokens/s, the first clause after {chosen.first_clause_s:.1f} s, "
        f"{_gigabytes(chosen.memory_bytes)} of memory ({how})"
    )
    if chosen.objection:
        return [f"None of them will do. {name} comes nearest, being the smallest: {chosen.objection}."]
    sentences = [f"{name} is the largest that fits and speaks faster than people listen: {figures}."]
    larger = [one for one in verdicts if one.candidate.size_bytes > chosen.candidate.size_bytes]
    if not larger:
        return [*sentences, "There is no larger one."]
    following = min(larger, key=lambda one: one.candidate.size_bytes)
    return [*sentences, f"The next larger, {following.candidate.name}: {following.objection}."]


def tuning_for(
    candidate: Candidate, measurements: Sequence[Measurement], *, n_ctx: int, budget_bytes: int
) -> EngineTuning | None:
    """How to run this model: as it was measured, or as the one nearest to it in size was. None without any."""
    if not measurements:
        return None
    return _verdict(candidate, measurements, n_ctx=n_ctx, budget_bytes=budget_bytes).tuning


def _verdict(candidate: Candidate, measurements: Sequence[Measurement], *, n_ctx: int, budget_bytes: int) -> Verdict:
    basis = _basis(candidate, measurements, n_ctx)
    f16_bytes = _memory_bytes(candidate, n_ctx)
    # q8_0 halves the cache (34 bytes for 64) and costs speed, so it is for models that would not fit without it.
    q8_bytes = f16_bytes - _kv_bytes(candidate, n_ctx) * 30 // 64
    quantized = basis.full_q8 is not None and f16_bytes > budget_bytes >= q8_bytes
    memory = q8_bytes if quantized else f16_bytes
    full = basis.full_q8 if quantized and basis.full_q8 is not None else basis.full
    speeds = _expected(basis, full, candidate, n_ctx)
    return Verdict(
        candidate=candidate,
        tuning=EngineTuning(
            threads=basis.threads,
            batch_tokens=basis.batch_tokens,
            gpu_layers=basis.gpu_layers,
            kv_type="q8_0" if quantized else "f16",
            flash_attention=basis.flash_attention,
        ),
        speeds=speeds,
        memory_bytes=memory,
        basis=basis.model,
        objection=_objection(speeds, memory, budget_bytes),
    )


def _objection(speeds: Speeds, memory_bytes: int, budget_bytes: int) -> str:
    against = []
    if memory_bytes > budget_bytes:
        against.append(f"it needs {_gigabytes(memory_bytes)} of memory where {_gigabytes(budget_bytes)} are for it")
    if speeds.decode_tps < LEAST_DECODE_TPS:
        against.append(f"{speeds.decode_tps:.1f} tokens/s are slower than people listen ({LEAST_DECODE_TPS:.0f})")
    if (wait_s := first_clause_s(speeds)) > MOST_FIRST_CLAUSE_S:
        against.append(f"its first clause would take {wait_s:.2f} s ({MOST_FIRST_CLAUSE_S} at most are wanted)")
    return ", and ".join(against)


def _basis(candidate: Candidate, measurements: Sequence[Measurement], n_ctx: int) -> Measurement:
    """The candidate's own measurement, else that of the model nearest in size; of several back-ends the quicker."""
    own = [one for one in measurements if one.path and one.path == candidate.path]

    def distance(one: Measurement) -> tuple[float, float]:
        wait_s = first_clause_s(_expected(one, one.full, candidate, n_ctx))
        return abs(math.log(one.file_bytes / candidate.size_bytes)), wait_s

    return min(own or measurements, key=distance)


def _expected(basis: Measurement, full: Speeds, candidate: Candidate, n_ctx: int) -> Speeds:
    """The candidate's speeds with `n_ctx` tokens in its context; `full` are those of the basis with `basis.n_ctx`.

    Of the time for a reply's token, reading the weights grows with their bytes, and what a full context adds grows with
    the bytes of its cache. Of that for a prompt's token, the weights' part grows with their number, and attention's
    with its 2/3rd power (as width times depth where weights are width squared times depth) and with the length of the
    context."""
    longer = n_ctx / basis.n_ctx
    bytes_ratio = wider = larger = 1.0
    if basis.path != candidate.path:
        bytes_ratio = candidate.size_bytes / basis.read_bytes
        wider = _kv_bytes(candidate, 1) / max(1, basis.kv_bytes)
        larger = candidate.n_parameters / basis.n_parameters
    elif longer == 1.0:
        return full
    weights_s, multiply_s = 1 / basis.empty.decode_tps, 1 / basis.empty.prefill_tps
    cache_s = max(0.0, 1 / full.decode_tps - weights_s)
    attend_s = max(0.0, 1 / full.prefill_tps - multiply_s)
    decode_s = weights_s * bytes_ratio + cache_s * wider * longer
    prefill_s = multiply_s * larger + attend_s * larger ** (2 / 3) * longer
    return Speeds(prefill_tps=1 / prefill_s, decode_tps=1 / decode_s)


def _kv_bytes(candidate: Candidate, n_ctx: int) -> int:
    if candidate.kv_bytes is not None:
        return candidate.kv_bytes * n_ctx
    return int(_KV_BYTES_PER_TOKEN * min(1.0, candidate.n_parameters / 1e9)) * n_ctx


def _memory_bytes(candidate: Candidate, n_ctx: int) -> int:
    return candidate.size_bytes + _kv_bytes(candidate, n_ctx) + _COMPUTE_BYTES


def _gigabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.1f} GB"
