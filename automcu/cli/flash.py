"""`automcu flash`: a firmware onto a board."""

from pathlib import Path
from typing import Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.cli.console import say


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
    from automcu.boards.discovery import VIRTUAL, board_url
    from automcu.boards.flashing import choose_method, flash_image, flashing_steps
    from automcu.boards.project import load_firmware, project_folder
    from automcu.cli.progress import TerminalProgress
    from automcu.compiler import Project
    from automcu.errors import WrongInputError
    from automcu.mcu import find_device

    if board == VIRTUAL:
        raise WrongInputError(
            "A virtual board has to run before it can be flashed. Start one with "
            "`automcu board run ID` and give its URL, or measure at once with `automcu bench`."
        )
    path = project_folder(folder)
    device = find_device(Project.load(path / "project.json").device)
    firmware = load_firmware(path)
    image = firmware.image
    warnings = [firmware.doubt] if firmware.doubt else []
    for warning in warnings:  # before anything is written, so that it can be stopped
        say(warning, error=True)
    if dry_run:
        steps = flashing_steps(board, device, image, method)
        chosen = choose_method(board, device, method)
        document = {"device": device.id, "board": board, "method": chosen, "steps": steps}
        document["warnings"] = warnings
        lines = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
        return Answer(document, f"By {chosen}, nothing done yet:\n{lines}")
    with TerminalProgress() as progress, board_url(board, device) as url:
        progress.begin(f"flashing {device.id} at {url}")
        report = flash_image(url, device, image, progress.count, method)
    document = {
        "device": device.id,
        "board": board,
        **report.model_dump(),
        "warnings": warnings,
    }
    return Answer(
        document,
        f"{device.name} at {board} runs the firmware: {report.written_bytes:,} bytes written by "
        f"{report.method}, {report.kept_bytes:,} kept, {report.seconds:.1f} s",
    )
