"""All commands under one roof."""

from typing import Annotated

import typer

from automcu import __version__
from automcu.cli import (
    bench,
    board,
    boards,
    build,
    calibrate,
    check,
    compile,
    design,
    devices,
    doctor,
    flash,
    report,
    space,
    studies,
)
from automcu.cli.console import PlainGroup

app = typer.Typer(
    name="automcu",
    cls=PlainGroup,
    help="From one sentence to a neural network that fits a microcontroller, its firmware, "
    "and its latency on the board.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command("design")(design.design)
app.command("devices")(devices.devices)
app.command("space")(space.space)
app.command("check")(check.check)
app.command("compile")(compile.compile)
app.command("build")(build.build)
app.command("boards")(boards.boards)
app.add_typer(board.board, name="board")
app.command("flash")(flash.flash)
app.command("bench")(bench.bench)
app.command("calibrate")(calibrate.calibrate)
app.command("report")(report.report)
app.command("studies")(studies.studies)
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"automcu {__version__}")
        raise typer.Exit


@app.callback()
def _automcu(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass
