"""`automcu build`: a C project to a firmware."""

from pathlib import Path
from typing import Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond


def build(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A compiled project, or a run that holds one.")
    ],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compile and link a project's firmware."""
    respond(lambda: _build(folder), json, debug)


def _build(folder: Path) -> Answer:
    from rich.table import Table

    from automcu.compiler import Project
    from automcu.devices import find_device
    from automcu.pipeline import project_folder
    from automcu.report.wording import kilobytes
    from automcu.toolchains import build_project

    path = project_folder(folder)
    project = Project.load(path / "project.json")
    made = build_project(path, find_device(project.device))
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    table.add_row("firmware", str(path / made.elf))
    table.add_row("compiler", made.compiler)
    table.add_row("flash", f"{kilobytes(made.flash_bytes)}, weights {kilobytes(made.weight_bytes)}")
    table.add_row("RAM", f"{kilobytes(made.ram_bytes)}, arena {kilobytes(made.arena_bytes)}")
    return Answer({"project": str(path), **made.model_dump()}, table)
