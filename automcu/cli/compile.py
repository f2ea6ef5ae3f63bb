"""`automcu compile`: a quantised model to a C project."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.cli.calibrated_answer import quantised_first, with_calibrated
from automcu.cli.limits import read_limits
from automcu.cli.options import (
    AccuracyData,
    CalibrationData,
    DeviceId,
    MaxEnergy,
    MaxFlash,
    MaxLatency,
    MaxRam,
    Weights,
)

if TYPE_CHECKING:
    from automcu.brief import Limits

QUANTISED_MODEL = "model.int8.onnx"


def compile(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="Quantised .onnx or .tflite file; float .onnx with --calibrate."
        ),
    ],
    device: DeviceId,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the C project.")],
    calibrate: CalibrationData = None,
    weights: Weights = "8",
    data: AccuracyData = None,
    max_latency_ms: MaxLatency = None,
    max_energy: MaxEnergy = None,
    max_ram: MaxRam = None,
    max_flash: MaxFlash = None,
    name: Annotated[
        str, typer.Option("--name", help="What the C symbols begin with (two networks need two).")
    ] = "model",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compile a model of your own to C for a board."""

    def command() -> Answer:
        from automcu.compiler.project import check_output_folder
        from automcu.compiler.render import checked_name

        checked_name(name)  # before anything is computed
        check_output_folder(out)
        file, calibrated = quantised_first(model, calibrate, out / QUANTISED_MODEL)
        limits = read_limits(max_latency_ms, max_energy, max_ram, max_flash)
        answer = _compile(file, device, out, weights, data, limits, name)
        return with_calibrated(answer, calibrated)

    respond(command, json, debug)


def _compile(
    model: Path,
    board: str,
    out: Path,
    weights: str,
    data: str | None,
    limits: "Limits",
    name: str,
) -> Answer:
    from dataclasses import replace

    from rich.console import Group

    from automcu.cli.by_rows_answer import with_by_rows
    from automcu.cli.narrowing_answer import with_narrowing
    from automcu.cli.no_figures_answer import answer_without_figures
    from automcu.cli.verdict_answer import verdict_answer
    from automcu.compiler.project import begin_output, end_output
    from automcu.cost.estimation import estimate_program
    from automcu.cost.verdict import check
    from automcu.cost.within_ram import by_rows, compile_within
    from automcu.errors import NoFiguresError, ToolError
    from automcu.mcu import find_device
    from automcu.user_model.compile import write_program
    from automcu.user_model.narrowing import narrow_model_file

    device = find_device(board)
    graph, narrowing = narrow_model_file(model, device, weights, limits.flash_bytes, data)
    program = compile_within(graph, device, limits.ram_bytes)
    begin_output(out)
    project = write_program(program, device, out, name=name)
    end_output(out)
    try:
        needed = estimate_program(program, device)
    except (NoFiguresError, ToolError) as error:
        return with_narrowing(
            answer_without_figures(program, device, project, out, error), narrowing
        )
    verdict = check(needed, device, limits)
    answer = verdict_answer(verdict, {"project": str(out), "model_hash": project.model_hash})
    answer = with_by_rows(
        with_narrowing(answer, narrowing), by_rows(program, graph, device), needed
    )
    return replace(answer, shown=Group(answer.shown, f"C project: {out}"))
