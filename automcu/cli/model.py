"""`automcu check` and `automcu compile`: what a network needs on a board, and its C project."""

from pathlib import Path
from typing import Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.cli.options import (
    AccuracyData,
    CalibrationData,
    CellsPerStage,
    Classes,
    DeviceId,
    InputChannels,
    MaxEnergy,
    MaxFlash,
    MaxLatency,
    MaxRam,
    Resolution,
    StemChannels,
    Weights,
    read_limits,
)
from automcu.networks.family import Network, families


def check(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Quantised .onnx or .tflite file, cell, index, or a transformer such as "
            "vit:patch=4,dim=64,depth=4,heads=4; float .onnx with --calibrate.",
        ),
    ],
    device: DeviceId,
    stem_channels: StemChannels = 16,
    cells_per_stage: CellsPerStage = 5,
    resolution: Resolution = 32,
    input_channels: InputChannels = 3,
    classes: Classes = 10,
    max_latency_ms: MaxLatency = None,
    max_energy: MaxEnergy = None,
    max_ram: MaxRam = None,
    max_flash: MaxFlash = None,
    calibrate: CalibrationData = None,
    weights: Weights = "8",
    data: AccuracyData = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say whether a model fits a board; a cell is judged in the skeleton that the options give."""

    def command() -> Answer:
        from automcu.cli.verdict import checked_answer
        from automcu.user_model.model import check

        limits = read_limits(max_latency_ms, max_energy, max_ram, max_flash)
        network = None
        if calibrate is None:
            sizes = {
                "stem_channels": stem_channels,
                "cells_per_stage": cells_per_stage,
                "resolution": resolution,
                "input_channels": input_channels,
                "classes": classes,
            }
            network = _untrained(model, sizes, weights, data)
        found = check(
            network or model, device, limits, weights=weights, data=data, calibrate=calibrate
        )
        return checked_answer(found)

    respond(command, json, debug)


def compile(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="Quantised .onnx or .tflite file; float .onnx with --calibrate."
        ),
    ],
    device: DeviceId,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the C project.")],
    calibrate: CalibrationData = None,
    weights: Weights = "8",
    data: AccuracyData = None,
    max_latency_ms: MaxLatency = None,
    max_energy: MaxEnergy = None,
    max_ram: MaxRam = None,
    max_flash: MaxFlash = None,
    name: Annotated[
        str, typer.Option("--name", help="What the C symbols begin with (two networks need two).")
    ] = "model",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compile a model of your own to C for a board."""

    def command() -> Answer:
        from automcu.cli.verdict import compiled_answer
        from automcu.user_model.model import compile

        limits = read_limits(max_latency_ms, max_energy, max_ram, max_flash)
        made = compile(
            model, device, out, limits, weights=weights, data=data, calibrate=calibrate, name=name
        )
        return compiled_answer(made)

    respond(command, json, debug)


def _untrained(model: str, sizes: dict[str, int], weights: str, data: str | None) -> Network | None:
    """The network without weights that a text names; None where it is a file."""
    ternary = weights == "ternary" if weights in ("8", "ternary") and data is None else None
    named = (family.parse(model, sizes, ternary) for family in families().values())
    return next((network for network in named if network is not None), None)
