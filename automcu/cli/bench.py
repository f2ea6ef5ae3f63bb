"""`automcu bench`: a firmware on a board, timed and compared with the integer reference."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.cli.console import say
from automcu.cli.options import Board

if TYPE_CHECKING:
    from automcu.boards.records import Measurement

TABLE = "bench.csv"


def bench(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A built project, or a run that holds one.")
    ],
    board: Board = "virtual",
    inputs: Annotated[
        int | None, typer.Option("--inputs", metavar="N", min=1, help="At most so many inputs.")
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option("--runs", metavar="N", min=1, help="Timed runs; default: what takes 3 s."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="Accuracy on this test set: whatever --calibrate takes, or .npz of int8 x and y.",
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            metavar="FILE",
            help=f".csv or .parquet that keeps every result; default: DIR/{TABLE}.",
        ),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Measure nothing; compare the results so far.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Flash a board, run the firmware and measure it."""

    def command() -> Answer:
        from automcu.boards.project import project_folder
        from automcu.cli.bench_history import comparison

        project = project_folder(folder)
        kept = table or project / TABLE
        if compare:
            return comparison(kept, project)
        return _bench(project, board, inputs, runs, data, kept)

    respond(command, json, debug, on_stop=lambda: "Nothing was added to the table.")


def _bench(
    project: Path, board: str, inputs: int | None, runs: int | None, data: str | None, table: Path
) -> Answer:
    from automcu.boards.bench import bench_project
    from automcu.boards.project import load_firmware
    from automcu.boards.records import remember
    from automcu.cli.bench_answer import shown
    from automcu.cli.progress import TerminalProgress
    from automcu.compiler import Project
    from automcu.errors import EXIT_DONE, EXIT_TOOL_OR_BOARD
    from automcu.mcu import find_device
    from automcu.report.reliability import measurement_warnings
    from automcu.user_model.board_test_set import load_test_set

    information = Project.load(project / "project.json")
    device = find_device(information.device)
    test_set, notes = load_test_set(data, information.input, inputs) if data else (None, ())
    doubt = load_firmware(project).doubt
    if doubt:  # before anything is flashed, so that it can be stopped
        say(doubt, error=True)
    with TerminalProgress() as progress:
        progress.begin(f"running on {board} {device.id}")
        found = bench_project(project, device, board, inputs, progress.count, runs, test_set)
    remember(table, _name(project), found)
    problem = _problem(found)
    warnings = measurement_warnings(found, information.class_names)
    document = {
        **found.model_dump(mode="json"),
        "table": str(table),
        "notes": notes,
        "warnings": (*warnings, *([doubt] if doubt else [])),
    }
    return Answer(
        document,
        shown(found, table, notes, warnings),
        EXIT_TOOL_OR_BOARD if problem else EXIT_DONE,
        problem,
    )


def _problem(found: "Measurement") -> str | None:
    if not found.mismatches:
        return None
    return (
        f"{found.mismatches} of {found.inputs} answers differ from the integer reference. "
        "Build the project again; if it stays, report it."
    )


def _name(project: Path) -> str:
    """What a table calls the project: its folder, or its run's."""
    path = project.resolve()
    return path.parent.name if path.name == "project" else path.name
