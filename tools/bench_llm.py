"""`familiar bench llm`: what the engine costs and what it saves, part by part, in one run on this machine.

Each part measures ours and what it is compared with side by side, interleaved, on the model of the settings; the shapes
and the search for leaks make models of their own. Measuring is in the `tools.llm_*` modules and `tools.speed_table`,
figures and verdicts in `tools.llm_report`; here it is decided what is run, how often, and what is written where.
"""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from device.companion import chosen_character, engine_settings, places, sampling, template_source
from device.engines import choose_model
from device.errors import FamiliarError
from device.settings import Settings
from models.sampling import Sampling
from tools.llm_abort import run_abort
from tools.llm_conversation import run_conversation
from tools.llm_leaks import run_leaks
from tools.llm_report import (
    Part,
    Report,
    abort_part,
    as_json,
    as_text,
    conversation_part,
    restart_part,
    shapes_part,
    speculation_part,
    speed_part,
)
from tools.llm_restart import run_restart
from tools.llm_session import BenchModel
from tools.llm_speculation import run_speculation
from tools.llm_speed import run_speed
from tools.random_gguf import SHAPES, ModelShape
from tools.speed_table import draw, measure_table

PARTS = ("speed", "conversation", "restart", "speculation", "abort", "shapes")
SHAPE_NAMES = tuple(shape.name for shape in SHAPES)

_SEED = 1
_DRAWN = "shapes"
"""The part that is drawn, for which matplotlib is needed: the extra `bench`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How often everything is done; `name` is for the report."""

    name: str
    speed_repeats: int
    conversation_turns: int
    restart_repeats: int
    speculation_turns: int
    leak_runs: int
    stops: int
    rough_turns: int
    shape_repeats: int


FULL = Scale(
    name="full",
    speed_repeats=24,
    conversation_turns=60,
    restart_repeats=5,
    speculation_turns=60,
    leak_runs=1000,
    stops=40,
    rough_turns=500,
    shape_repeats=3,
)
"""What the targets are meant for: twenty minutes with the starter model on one thread of two slow cores, a third of
them for the library's side of the conversation."""

QUICK = Scale(
    name="quick: figures are rough",
    speed_repeats=3,
    conversation_turns=6,
    restart_repeats=2,
    speculation_turns=6,
    leak_runs=25,
    stops=5,
    rough_turns=30,
    shape_repeats=1,
)
"""To see that everything works; figures are rough, and those that need a full context are not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """What is to be run: some of `PARTS`, with some of `SHAPES`; files go to the folder `out`, if there is one."""

    parts: tuple[str, ...] = PARTS
    shapes: tuple[str, ...] = SHAPE_NAMES
    scale: Scale = FULL
    out: Path | None = None


def run_bench(request: BenchRequest, settings: Settings, say: Callable[[str], None]) -> Report:
    """Run it; `say` gets a line at each step.

    Raises FamiliarError for missing packages or room, before anything is measured, and the errors of `models`.
    """
    _require_matplotlib(request)
    if request.out is not None:
        request.out.mkdir(parents=True, exist_ok=True)
    choice = choose_model(settings, places(os.environ).store)
    model = BenchModel(
        path=choice.path,
        character=chosen_character(settings),
        settings=engine_settings(settings, choice),
        sampling=_repeatable(sampling(settings)),
        template=template_source(settings),
    )
    parts = tuple(_run_part(name, request, model, settings, say) for name in PARTS if name in request.parts)
    about = {
        "model": f"{choice.name} ({choice.path.name}, {choice.path.stat().st_size / 1e6:.0f} MB)",
        "threads": str(model.threads),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "library": f"llama-cpp-python {version('llama-cpp-python')}",
        "run": request.scale.name,
    }
    report = Report(about=about, parts=parts)
    if request.out is not None:
        (request.out / "report.json").write_text(as_json(report) + "\n", encoding="utf-8")
        (request.out / "report.txt").write_text(as_text(report) + "\n", encoding="utf-8")
    return report


def _run_part(
    name: str, request: BenchRequest, model: BenchModel, settings: Settings, say: Callable[[str], None]
) -> Part:
    scale = request.scale
    match name:
        case "speed":
            return speed_part(run_speed(model, repeats=scale.speed_repeats, say=say))
        case "conversation":
            return conversation_part(run_conversation(model, turns=scale.conversation_turns, say=say))
        case "restart":
            return restart_part(run_restart(model, repeats=scale.restart_repeats, say=say))
        case "speculation":
            spoken = run_speculation(settings, turns=scale.speculation_turns, say=say)
            return speculation_part(spoken, run_leaks(runs=scale.leak_runs, say=say))
        case "abort":
            return abort_part(run_abort(model, stops=scale.stops, turns=scale.rough_turns, say=say))
        case "shapes":
            return _run_shapes(_chosen(request.shapes), request, model, say)
    raise ValueError(f"there is no part {name!r}")


def _run_shapes(
    shapes: Sequence[ModelShape], request: BenchRequest, model: BenchModel, say: Callable[[str], None]
) -> Part:
    table = measure_table(shapes, model.settings, repeats=request.scale.shape_repeats, say=say)
    if request.out is not None:
        for path in draw(table, request.out):
            say(f"shapes: drawn in {path}")
    return shapes_part(table)


def _chosen(names: Sequence[str]) -> list[ModelShape]:
    return [shape for shape in SHAPES if shape.name in names]


def _repeatable(chosen: Sampling) -> Sampling:
    """The companion's sampling, with the same words in every run."""
    return replace(chosen, seed=_SEED)


def _require_matplotlib(request: BenchRequest) -> None:
    if request.out is not None and _DRAWN in request.parts and find_spec("matplotlib") is None:
        raise FamiliarError(
            "drawing needs matplotlib: pip install 'familiar-companion[bench]', or leave out --out, or the part "
            f"{_DRAWN} with --only"
        )
