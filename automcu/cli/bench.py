"""`automcu bench`: a firmware on a board, timed and compared with the integer reference."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.cli.options import Board

if TYPE_CHECKING:
    from rich.console import RenderableType

    from automcu.boards.records import Measurement


def bench(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A built project, or a run that holds one.")
    ],
    board: Board = "virtual",
    inputs: Annotated[
        int | None, typer.Option("--inputs", metavar="N", min=1, help="Of the golden inputs.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Flash a board, run the firmware and measure it."""
    respond(lambda: _bench(folder, board, inputs), json, debug)


def _bench(folder: Path, board: str, inputs: int | None) -> Answer:
    from automcu.boards import bench_project
    from automcu.cli.progress import TerminalProgress
    from automcu.compiler import Project
    from automcu.devices import find_device
    from automcu.errors import EXIT_DONE, EXIT_TOOL_OR_BOARD
    from automcu.pipeline import project_folder

    path = project_folder(folder)
    device = find_device(Project.load(path / "project.json").device)
    with TerminalProgress() as progress:
        progress.begin(f"running on {board} {device.id}")
        found = bench_project(path, device, board, inputs, progress=progress.count)
    problem = None
    if found.mismatches:
        problem = (
            f"{found.mismatches} of {found.inputs} answers differ from the integer reference. "
            "Build the project again; if it stays, report it."
        )
    return Answer(
        found.model_dump(mode="json"),
        _shown(found),
        EXIT_TOOL_OR_BOARD if problem else EXIT_DONE,
        problem,
    )


def _shown(found: "Measurement") -> "RenderableType":
    from rich import box
    from rich.console import Group
    from rich.table import Table

    from automcu.report.wording import milliseconds, percent

    layers = Table(box=box.SIMPLE_HEAD)
    layers.add_column("layer", overflow="fold")
    layers.add_column("cycles", justify="right")
    layers.add_column("share", justify="right")
    total = max(1, sum(layer.cycles for layer in found.layers))
    for layer in found.layers:
        layers.add_row(layer.name, f"{layer.cycles:,}", percent(layer.cycles / total))
    spread = found.latency_ms
    accuracy = "no labels" if found.accuracy is None else f"accuracy {percent(found.accuracy)}"
    return Group(
        layers,
        f"{found.board}: {milliseconds(spread.median)} median ({found.latency_source}; "
        f"min {milliseconds(spread.min)}, 95 % {milliseconds(spread.p95)}), "
        f"{found.cycles:,} cycles",
        f"{found.inputs - found.mismatches} of {found.inputs} answers equal the integer "
        f"reference, {accuracy}; stack {found.stack_bytes:,} bytes, "
        f"arena {found.arena_bytes:,} bytes",
    )
