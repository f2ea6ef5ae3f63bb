"""`automcu compile`: a quantised model to a C project."""

from pathlib import Path
from typing import Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.cli.options import DeviceId


def compile(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Quantised .onnx or .tflite file.")
    ],
    device: DeviceId,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the C project.")],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compile a model of your own to C for a board."""
    respond(lambda: _compile(model, device, out), json, debug)


def _compile(model: Path, name: str, out: Path) -> Answer:
    from dataclasses import replace

    from rich.console import Group

    from automcu.cli.verdict_answer import verdict_answer
    from automcu.cost import check, estimate_program
    from automcu.devices import find_device
    from automcu.pipeline import compile_model_file, write_program

    device = find_device(name)
    program = compile_model_file(model, device)
    project = write_program(program, device, out)
    verdict = check(estimate_program(program, device), device)
    answer = verdict_answer(verdict, {"project": str(out), "model_hash": project.model_hash})
    return replace(answer, shown=Group(answer.shown, f"C project: {out}"))
