"""`automcu build`: a C project to a firmware, and the proof that it computes what it should."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond

if TYPE_CHECKING:
    from automcu.toolchains import Build


def build(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A compiled project, or a run that holds one.")
    ],
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify", help="Run golden inputs through the firmware, emulated."
        ),
    ] = True,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compile and link a project's firmware, and verify it on the emulator."""
    respond(lambda: _build(folder, verify), json, debug)


def _build(folder: Path, verify: bool) -> Answer:
    from rich.table import Table

    from automcu.boards.project import project_device, project_folder
    from automcu.boards.verification import build_verified
    from automcu.mcu import find_device
    from automcu.report.wording import kilobytes
    from automcu.toolchains import build_project

    path = project_folder(folder)
    device = find_device(project_device(path))
    made = build_verified(path, device) if verify else build_project(path, device)
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    table.add_row("firmware", str(path / made.elf))
    table.add_row("compiler", made.compiler)
    table.add_row("flash", f"{kilobytes(made.flash_bytes)}, weights {kilobytes(made.weight_bytes)}")
    table.add_row("RAM", f"{kilobytes(made.ram_bytes)}, arena {kilobytes(made.arena_bytes)}")
    table.add_row(*_proof(made))
    return Answer({"project": str(path), **made.model_dump()}, table)


def _proof(made: "Build") -> tuple[str, str]:
    """What is known of the firmware's answers, in words."""
    proof = made.verified
    if proof is None:
        return "not verified", made.not_verified or "--no-verify was given."
    some = "" if proof.inputs == proof.golden_inputs else f"of {proof.golden_inputs} "
    return "verified", f"{proof.inputs} {some}golden inputs {proof.how}, all bytes equal"
