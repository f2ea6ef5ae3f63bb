"""`automcu check`: what a network needs on a board, before it is trained or built."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.cli.limits import read_limits
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
    from automcu.cost import Estimate
    from automcu.devices import Device
    from automcu.space import Skeleton


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
        needed = _estimate(model, board, skeleton)
        return verdict_answer(compare(needed, board, **limits))

    respond(command, json, debug)


def _estimate(model: str, device: "Device", skeleton: "Skeleton") -> "Estimate":
    from automcu.cost import estimate, estimate_program
    from automcu.space import Architecture, Cell

    arguments: dict[str, Any] = {"skeleton": skeleton}
    if model.strip().isdigit():
        arguments["cell"] = str(Cell.from_index(int(model)))
    elif model.lstrip().startswith("|"):
        arguments["cell"] = model
    else:
        from pathlib import Path

        from automcu.pipeline import compile_model_file

        return estimate_program(compile_model_file(Path(model), device), device)
    return estimate(Architecture(**arguments), device)
