"""`automcu check`: what a network needs on a board, before it is trained or built."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.cli.limits import read_limits
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
)

if TYPE_CHECKING:
    from automcu.brief import Limits
    from automcu.compiler import Graph
    from automcu.cost.records import ByRows, Estimate, Remedy
    from automcu.mcu import Device
    from automcu.networks.cells.architecture import Skeleton
    from automcu.networks.family import Network
    from automcu.user_model.narrowing import Narrowing


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
        from automcu.cli.by_rows_answer import with_by_rows
        from automcu.cli.calibrated_answer import quantised_first, with_calibrated
        from automcu.cli.narrowing_answer import with_narrowing
        from automcu.cli.verdict_answer import verdict_answer
        from automcu.cost.remedies import with_remedies
        from automcu.cost.verdict import check as compare
        from automcu.mcu import find_device
        from automcu.networks.cells.architecture import Skeleton

        skeleton = Skeleton(
            stem_channels=stem_channels,
            cells_per_stage=cells_per_stage,
            resolution=resolution,
            input_channels=input_channels,
            classes=classes,
        )
        board = find_device(device)
        limits = read_limits(max_latency_ms, max_energy, max_ram, max_flash)
        with TemporaryDirectory(prefix="automcu-") as folder:
            quantised = Path(folder, "quantised.onnx")
            file, calibrated = quantised_first(Path(model), calibrate, quantised)
            source = model if calibrate is None else str(file)
            judged, narrowing = _judged(source, skeleton, board, weights, limits, data)
        needed, rows = _cost(judged, board, limits.ram_bytes)
        verdict = compare(needed, board, limits)
        if verdict.fits:
            answer = verdict_answer(verdict)
        else:
            found = _remedies(judged, board, limits)
            answer = verdict_answer(
                with_remedies(verdict, found), {"remedies": [one.model_dump() for one in found]}
            )
        answer = with_by_rows(with_narrowing(answer, narrowing), rows, needed)
        return with_calibrated(answer, calibrated)

    respond(command, json, debug)


def _judged(
    model: str,
    skeleton: "Skeleton",
    device: "Device",
    weights: str,
    limits: "Limits",
    data: str | None,
) -> "tuple[Network | Graph, Narrowing | None]":
    """The cell in its skeleton, or the file's network with the weights that are asked for."""
    from automcu.errors import WrongInputError
    from automcu.networks.cells.architecture import Architecture
    from automcu.networks.cells.cell import Cell
    from automcu.networks.transformers.shape import parse_transformer

    if model.startswith("vit:"):
        if weights not in ("8", "ternary") or data is not None:
            raise WrongInputError(
                "The weights of a vision transformer are ternary, and it has none yet. Leave "
                "--weights and --data out."
            )
        sizes = skeleton.resolution, skeleton.input_channels, skeleton.classes
        return parse_transformer(model, *sizes), None
    cell = str(Cell.from_index(int(model))) if model.strip().isdigit() else model
    if cell.lstrip().startswith("|"):
        if weights not in ("8", "ternary") or data is not None:
            raise WrongInputError(
                "A cell has no weights yet: it is costed with --weights 8 or ternary. "
                "Give other widths and --data with a model file."
            )
        ternary = skeleton.model_copy(update={"ternary": weights == "ternary"})
        return Architecture(cell=cell, skeleton=ternary), None
    from automcu.user_model.narrowing import narrow_model_file

    return narrow_model_file(Path(model), device, weights, limits.flash_bytes, data)


def _cost(
    judged: "Network | Graph", device: "Device", max_ram_bytes: int | None
) -> "tuple[Estimate, ByRows | None]":
    """What it needs; a file's network runs by rows where RAM asks for it."""
    from automcu.cost.estimation import estimate_program
    from automcu.cost.within_ram import by_rows, compile_within
    from automcu.networks.estimate import estimate
    from automcu.networks.family import Network

    if isinstance(judged, Network):
        return estimate(judged, device), None
    program = compile_within(judged, device, max_ram_bytes)
    return estimate_program(program, device), by_rows(program, judged, device)


def _remedies(
    judged: "Network | Graph", device: "Device", limits: "Limits"
) -> "tuple[Remedy, ...]":
    from automcu.cost.remedies import bits_remedies, board_remedies
    from automcu.mcu.find import all_devices
    from automcu.networks.family import Network, family_of

    boards = all_devices().values()
    if isinstance(judged, Network):
        return family_of(judged).remedies(judged, device, boards, limits)
    ram = limits.ram_bytes
    return (
        *bits_remedies(judged, lambda graph: _cost(graph, device, ram)[0], device, limits),
        *board_remedies(lambda board: _cost(judged, board, ram)[0], device, boards, limits),
    )
