"""`automcu build` and `automcu flash`: a C project to a firmware, and that onto a board."""

from pathlib import Path
from typing import Annotated

import typer

from automcu.boards.project import project_folder
from automcu.cli.answer import Answer, Debug, Json, pairs, respond
from automcu.cli.console import say
from automcu.cli.progress import TerminalProgress
from automcu.report.wording import kilobytes
from automcu.toolchains.build import Build


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
    from automcu.user_model.firmware import build

    path = project_folder(folder)
    made = build(path, verify=verify)
    shown = pairs(
        (
            ("firmware", str(path / made.elf)),
            ("compiler", made.compiler),
            ("flash", f"{kilobytes(made.flash_bytes)}, weights {kilobytes(made.weight_bytes)}"),
            ("RAM", f"{kilobytes(made.ram_bytes)}, arena {kilobytes(made.arena_bytes)}"),
            _proof(made),
        )
    )
    return Answer({"project": str(path), **made.model_dump()}, shown)


def _proof(made: Build) -> tuple[str, str]:
    """What is known of the firmware's answers, in words."""
    proof = made.verified
    if proof is None:
        return "not verified", made.not_verified or "--no-verify was given."
    some = "" if proof.inputs == proof.golden_inputs else f"of {proof.golden_inputs} "
    return "verified", f"{proof.inputs} {some}golden inputs {proof.how}, all bytes equal"


def flash(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A built project, or a run that holds one.")
    ],
    board: Annotated[
        str,
        typer.Option("--board", metavar="PORT", help="Any pyserial URL, or labgrid:PLACE."),
    ],
    method: Annotated[
        str | None,
        typer.Option(
            metavar="usart-bootloader|swd|mass-storage|esptool",
            help="How; by default the first of the board's ways that is connected.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the image and say what would be done.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a project's firmware to a board, verify it and start it."""
    respond(
        lambda: _flash(folder, board, method, dry_run),
        json,
        debug,
        on_stop=lambda: "Flash the board again: what it has already is kept.",
    )


def _flash(folder: Path, board: str, method: str | None, dry_run: bool) -> Answer:
    from automcu.user_model.firmware import flash, load_image, plan_flash

    device, _, warnings = load_image(folder, board)
    for warning in warnings:  # before anything is written, so that it can be stopped
        say(warning, error=True)
    if dry_run:
        plan = plan_flash(folder, board, method)
        lines = "\n".join(f"{number}. {step}" for number, step in enumerate(plan.steps, 1))
        document = {
            "device": device.id,
            "board": board,
            "method": plan.method,
            "steps": plan.steps,
            "warnings": warnings,
        }
        return Answer(document, f"By {plan.method}, nothing done yet:\n{lines}")
    with TerminalProgress() as progress:
        progress.begin(f"flashing {device.id} at {board}")
        done = flash(folder, board, method=method, progress=progress.count)
    report = done.report
    return Answer(
        {
            "device": device.id,
            "board": board,
            **report.model_dump(),
            "warnings": warnings,
        },
        f"{device.name} at {board} runs the firmware: {report.written_bytes:,} bytes written by "
        f"{report.method}, {report.kept_bytes:,} kept, {report.seconds:.1f} s",
    )
