"""`automcu check`: what a network needs on a board, before it is trained or built."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.cli.limits import Limits, read_limits
from automcu.cli.options import (
    CellsPerStage,
    Classes,
    DeviceId,
    InputChannels,
    MaxFlash,
    MaxLatency,
    MaxRam,
    Resolution,
    StemChannels,
)

if TYPE_CHECKING:
    from automcu.cost import Estimate, Remedy
    from automcu.devices import Device
    from automcu.space import Architecture, Skeleton


def check(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Quantised .onnx or .tflite file, cell, or index."),
    ],
    device: DeviceId,
    stem_channels: StemChannels = 16,
    cells_per_stage: CellsPerStage = 5,
    resolution: Resolution = 32,
    input_channels: InputChannels = 3,
    classes: Classes = 10,
    max_latency_ms: MaxLatency = None,
    max_ram: MaxRam = None,
    max_flash: MaxFlash = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say whether a model fits a board; a cell is judged in the skeleton that the options give."""

    def command() -> Answer:
        from automcu.cli.verdict_answer import verdict_answer
        from automcu.cost import check as compare
        from automcu.cost import with_remedies
        from automcu.devices import find_device
        from automcu.space import Skeleton

        skeleton = Skeleton(
            stem_channels=stem_channels,
            cells_per_stage=cells_per_stage,
            resolution=resolution,
            input_channels=input_channels,
            classes=classes,
        )
        board = find_device(device)
        limits = read_limits(max_latency_ms, max_ram, max_flash)
        architecture = _architecture(model, skeleton)
        needed = _estimate(model, architecture, board)
        verdict = compare(needed, board, **limits)
        if verdict.fits:
            return verdict_answer(verdict)
        found = _remedies(model, architecture, board, limits)
        return verdict_answer(
            with_remedies(verdict, found), {"remedies": [one.model_dump() for one in found]}
        )

    respond(command, json, debug)


def _architecture(model: str, skeleton: "Skeleton") -> "Architecture | None":
    """The cell in its skeleton; None where `model` is a file."""
    from automcu.space import Architecture, Cell

    if model.strip().isdigit():
        return Architecture(cell=str(Cell.from_index(int(model))), skeleton=skeleton)
    if model.lstrip().startswith("|"):
        return Architecture(cell=model, skeleton=skeleton)
    return None


def _estimate(model: str, architecture: "Architecture | None", device: "Device") -> "Estimate":
    from automcu.cost import estimate, estimate_program

    if architecture is not None:
        return estimate(architecture, device)
    from automcu.pipeline import compile_model_file

    return estimate_program(compile_model_file(Path(model), device), device)


def _remedies(
    model: str, architecture: "Architecture | None", device: "Device", limits: Limits
) -> "tuple[Remedy, ...]":
    from automcu.cost import architecture_remedies, board_remedies
    from automcu.devices import all_devices

    boards = all_devices().values()
    if architecture is not None:
        return architecture_remedies(architecture, device, boards, **limits)

    def estimate_on(board: "Device") -> "Estimate":
        return _estimate(model, None, board)

    return board_remedies(estimate_on, device, boards, **limits)
