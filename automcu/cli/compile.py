"""`automcu compile`: a quantised model to a C project."""

from pathlib import Path
from typing import Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.cli.limits import read_limits
from automcu.cli.options import AccuracyData, DeviceId, MaxFlash, Weights


def compile(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Quantised .onnx or .tflite file.")
    ],
    device: DeviceId,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the C project.")],
    weights: Weights = "8",
    data: AccuracyData = None,
    max_flash: MaxFlash = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compile a model of your own to C for a board."""
    respond(lambda: _compile(model, device, out, weights, data, max_flash), json, debug)


def _compile(
    model: Path, name: str, out: Path, weights: str, data: str | None, max_flash: str | None
) -> Answer:
    from dataclasses import replace

    from rich.console import Group

    from automcu.cli.narrowing_answer import with_narrowing
    from automcu.cli.verdict_answer import verdict_answer
    from automcu.compiler import compile_graph
    from automcu.cost import check, estimate_program
    from automcu.devices import find_device
    from automcu.pipeline import narrow_model_file, write_program

    device = find_device(name)
    flash = read_limits(None, None, max_flash)["max_flash_bytes"]
    graph, narrowing = narrow_model_file(model, device, weights, flash, data)
    program = compile_graph(graph, device)
    project = write_program(program, device, out)
    verdict = check(estimate_program(program, device), device, max_flash_bytes=flash)
    answer = verdict_answer(verdict, {"project": str(out), "model_hash": project.model_hash})
    answer = with_narrowing(answer, narrowing)
    return replace(answer, shown=Group(answer.shown, f"C project: {out}"))
