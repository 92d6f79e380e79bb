"""The report of `familiar models bench` for people: tables of 80 columns and the choice in words.

Takes the outcome of `tools.models_bench`; measuring and choosing are done by then.
"""

from rich.console import Console
from rich.table import Table

from device.board import Board
from device.tuning import LEAST_DECODE_TPS, MOST_FIRST_CLAUSE_S, Measurement, explain
from tools.models_bench import Outcome


def show(console: Console, found: Outcome) -> None:
    """Print all of it."""
    board = found.board
    gpus = ", ".join(board.gpus) or "no GPU that llama.cpp knows"
    memory = f"{board.ram.total_bytes / 1e9:.1f} GB"
    console.print(f"{board.name}: {board.processor}, {board.n_cores} cores, {memory}, {gpus}", highlight=False)
    if found.measurements:
        console.print(f"\nMeasured, tokens/s with an empty and a full context{_lengths(found)}:", highlight=False)
        console.print(_measured(found))
        for line in _remarks(found):
            console.print(line, highlight=False)
    for failure in found.failures:
        console.print(f"{failure.model} could not be measured on the {failure.backend}: {failure.why}", style="yellow")
    if found.recommended is None:
        return
    bases = dict.fromkeys(verdict.basis for verdict in found.verdicts)
    console.print(
        f"\nWhat to expect with a full context of {found.n_ctx} tokens, as `think.context_tokens` says; estimates rest "
        f"on {', '.join(bases)}. "
        f"{found.budget_bytes / 1e9:.1f} GB of memory are for the model:",
        highlight=False,
    )
    console.print(_expected(found))
    console.print()
    for sentence in explain(found.recommended, found.verdicts):
        console.print(sentence, highlight=False)
    if found.recommended.candidate.path is None:
        console.print(f"`familiar models pull {found.recommended.candidate.name}` fetches it.", highlight=False)


def one_line(found: Outcome) -> str:
    """The choice in a line, for the end of a set-up."""
    if found.recommended is None:
        reasons = "; ".join(f"{failure.model}: {failure.why}" for failure in found.failures)
        return f"benchmark: nothing could be measured{f' ({reasons})' if reasons else ''}"
    best, one = found.recommended, found.measurements[0]
    doubt = f"; doubtful: {one.doubt}" if one.doubt else ""
    return (
        f"benchmark: {one.model} makes {one.full.decode_tps:.0f} tokens/s with {_threads(one.threads)} "
        f"and {one.n_ctx} tokens of context; "
        f"this machine would do for {best.candidate.name}{doubt}"
    )


def _lengths(found: Outcome) -> str:
    """Of the contexts in which was measured: models may have been trained with less, or measured at another time."""
    lengths = {one.n_ctx for one in found.measurements}
    return f" of {min(lengths)}{f' to {max(lengths)}' if len(lengths) > 1 else ''} tokens"


def _measured(found: Outcome) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("\nmodel", overflow="fold")
    table.add_column("\non")
    empty_full = ("prefill\nempty", "decode\nempty", "prefill\nfull", "decode\nfull", "decode\nq8_0")
    for heading in ("\nthreads", "\nbatch", *empty_full, "\nGB/s"):
        table.add_column(heading, justify="right")
    for one in found.measurements:
        speeds = (one.empty.prefill_tps, one.empty.decode_tps, one.full.prefill_tps, one.full.decode_tps)
        table.add_row(
            one.model,
            "CPU" if one.gpu_layers == 0 else "GPU",
            str(one.threads),
            str(one.batch_tokens),
            *(f"{tps:.0f}" for tps in speeds),
            f"{one.full_q8.decode_tps:.0f}" if one.full_q8 else "-",
            f"{one.bandwidth_bytes_per_s / 1e9:.1f}",
        )
    return table


def _remarks(found: Outcome) -> list[str]:
    """What a reader of the table may ask."""
    noise = max(one.noise for one in found.measurements)
    remarks = [_about_threads(found.board), f"Repeats of one measurement differed by up to {noise:.0%}."]
    if any(one.flash_attention for one in found.measurements):
        remarks.append("Flash attention is the quicker way here, and is used.")
    doubts: dict[str, list[Measurement]] = {}
    for one in found.measurements:
        doubts.setdefault(one.doubt, []).append(one)
    remarks += [
        f"Doubtful, {doubt}: {', '.join(one.model for one in group)}. Measure again when it is quiet."
        for doubt, group in doubts.items()
        if doubt
    ]
    return remarks


def _about_threads(board: Board) -> str:
    if board.n_engine_threads == 1:
        return "The engine gets one thread: the other core is for ears and voice."
    return f"Up to {board.n_engine_threads} threads were tried: one core is for ears and voice."


def _threads(n: int) -> str:
    return "one thread" if n == 1 else f"{n} threads"


def _expected(found: Outcome) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("model", overflow="fold")
    for heading in ("GB in memory", "tokens/s", "first clause"):
        table.add_column(heading, justify="right")
    table.add_column("known")
    for verdict in reversed(found.verdicts):
        slow, late = verdict.speeds.decode_tps < LEAST_DECODE_TPS, verdict.first_clause_s > MOST_FIRST_CLAUSE_S
        large = verdict.memory_bytes > found.budget_bytes
        table.add_row(
            "→" if verdict is found.recommended else "",
            verdict.candidate.name,
            _marked(f"{verdict.memory_bytes / 1e9:.1f}", bad=large),
            _marked(f"{verdict.speeds.decode_tps:.1f}", bad=slow),
            _marked(f"{verdict.first_clause_s:.1f} s", bad=late),
            "measured" if verdict.measured else "estimated",
        )
    return table


def _marked(text: str, *, bad: bool) -> str:
    return f"[red]{text} ✗[/red]" if bad else f"{text}  "
