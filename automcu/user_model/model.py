"""A model of the user's own, or one to come: checked against a board, and compiled to C."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from automcu.boards.project import ESTIMATE
from automcu.brief import NO_LIMITS, Limits
from automcu.compiler import (
    Graph,
    Project,
    compile_graph,
    import_model,
    quantise_inputs,
    write_project,
)
from automcu.compiler.compile import Program
from automcu.compiler.project import begin_output, check_output_folder, describe_tensor, end_output
from automcu.compiler.render import DEFAULT_NAME, checked_name
from automcu.cost.estimation import compile_within, estimate_program, row_tiling
from automcu.cost.records import Estimate, Remedy, RowTilingEffect, Verdict
from automcu.cost.verdict import bits_remedies, board_remedies, with_remedies
from automcu.cost.verdict import check as compare
from automcu.datasets.record import Split
from automcu.errors import NoFiguresError, ToolError, WrongInputError
from automcu.mcu import all_devices, find_device
from automcu.mcu.profile import Device
from automcu.networks.estimate import estimate
from automcu.networks.family import Network, family_of
from automcu.records import no_such_file
from automcu.user_model.quantise import Calibrated, LowBitWeights, quantise_first, with_weights

QUANTISED_MODEL = "model.int8.onnx"
_RANDOM_INPUTS = 16
_SEED = 0


@dataclass(frozen=True)
class CompileResult:
    """A model of the user's own as a C project in `folder`, and what is known of it.

    `verdict` is None where nobody has fitted figures for the device; `without_figures` then says
    so in a sentence. `row_tiling` is None where no layer runs some rows at a time, `calibrated`
    where the model was quantised already.
    """

    folder: Path
    device: Device
    project: Project
    program: Program
    weights: LowBitWeights
    verdict: Verdict | None
    row_tiling: RowTilingEffect | None = None
    calibrated: Calibrated | None = None
    without_figures: str = ""


def compile(
    model: Path | str,
    device: Device | str,
    out: Path | str,
    limits: Limits = NO_LIMITS,
    *,
    weights: str = "8",
    data: str | None = None,
    calibrate: str | None = None,
    name: str = DEFAULT_NAME,
) -> CompileResult:
    """Compile a model to C for a board.

    Args:
        model: a quantised .onnx or .tflite file, or a float .onnx file with `calibrate`.
        device: a board, or its id, an alias of it, or its MCU.
        out: folder of the C project; made anew, or one that an earlier call wrote.
        limits: what the verdict compares with, beside the board's own memory. `ram_bytes` also
            bounds the arena: where it is short, layers run some rows at a time.
        weights: bits of the weights: "8", "6", "4", "3", "2", "ternary", or "auto" for as few as
            flash asks for.
        data: a data set, or a .npz of x and y, that measures what fewer bits cost in accuracy.
        calibrate: a data set, or a .npz of x as the model takes it, to quantise a float model.
        name: what the C symbols begin with.

    Returns:
        The project. What does not fit is written all the same: `verdict` says what breaks.

    Raises:
        WrongInputError: a file, a name, a folder or the data cannot be used.
        UnsupportedModelError: the model is damaged, or holds what cannot be compiled.
    """
    file, out = Path(model), Path(out)
    checked_name(name)  # before anything is computed
    check_output_folder(out)
    file, calibrated = quantise_first(file, calibrate, out / QUANTISED_MODEL)
    device = find_device(device) if isinstance(device, str) else device
    graph = import_model_file(file)
    graph, reduced = with_weights(graph, weights, device, limits.flash_bytes, data)
    program = compile_within(graph, device, limits.ram_bytes)
    begin_output(out)
    project = write_program(program, device, out, name=name)
    end_output(out)
    try:
        verdict = compare(estimate_program(program, device), device, limits)
    except (NoFiguresError, ToolError) as error:
        return CompileResult(
            out, device, project, program, reduced, None, None, calibrated, str(error)
        )
    tiling = row_tiling(program, graph, device)
    return CompileResult(out, device, project, program, reduced, verdict, tiling, calibrated)


def compile_model_file(model: Path, device: Device) -> Program:
    """Read a quantised model and compile it for a device.

    Raises:
        WrongInputError: the file is missing.
        UnsupportedModelError: it is damaged, or holds what cannot be compiled.
    """
    return compile_graph(import_model_file(model), device)


def import_model_file(model: Path) -> Graph:
    """Read a quantised model.

    Raises:
        WrongInputError: the file is missing.
        UnsupportedModelError: it is damaged, or holds what cannot be compiled.
    """
    if not model.is_file():
        raise WrongInputError(
            f"{no_such_file(model, 'model file')} Give a quantised .onnx or .tflite file."
        )
    return import_model(model)


def write_program(
    program: Program,
    device: Device,
    folder: Path,
    class_names: tuple[str, ...] = (),
    shown: Split | None = None,
    name: str = DEFAULT_NAME,
) -> Project:
    """Write the C project, with golden inputs from a split, or random ones where there is none.

    The estimate is left beside it, for a bench to compare with, where the device has figures.
    """
    with contextlib.suppress(WrongInputError, ToolError):
        estimate_program(program, device).save(folder / ESTIMATE)
    source, labels = program.graph.tensors[program.graph.input], None
    if shown is None:
        generator = np.random.default_rng(_SEED)
        inputs = generator.integers(-128, 128, (_RANDOM_INPUTS, *source.shape), dtype=np.int8)
    else:
        information = describe_tensor(source, program.graph.input_layout)
        inputs, labels = quantise_inputs(shown.inputs, information), shown.labels
    return write_project(program, device.id, folder, class_names, inputs, labels, name)


@dataclass(frozen=True)
class CheckResult:
    """Whether a model fits a board, and what is known of it.

    `remedies` name what would fit where it does not. `weights` is None for networks that have none
    yet, `row_tiling` where no layer runs some rows at a time, `calibrated` where the model was
    quantised already.
    """

    verdict: Verdict
    remedies: tuple[Remedy, ...] = ()
    weights: LowBitWeights | None = None
    row_tiling: RowTilingEffect | None = None
    calibrated: Calibrated | None = None


def check(
    model: Path | str | Network,
    device: Device | str,
    limits: Limits = NO_LIMITS,
    *,
    weights: str = "8",
    data: str | None = None,
    calibrate: str | None = None,
) -> CheckResult:
    """Say whether a model fits a board, and what would fit where it does not.

    Args:
        model: a quantised .onnx or .tflite file, a float .onnx file with `calibrate`, or a
            network that is not trained yet.
        device: a board, or its id, an alias of it, or its MCU.
        limits: milliseconds, millijoule and bytes, beside the board's own memory.
        weights: bits of a file's weights: "8", "6", "4", "3", "2", "ternary", or "auto" for as few
            as flash asks for.
        data: a data set, or a .npz of x and y, that measures what fewer bits cost in accuracy.
        calibrate: a data set, or a .npz of x as the model takes it, to quantise a float model.

    Raises:
        WrongInputError: a file, the board or the data cannot be used.
        NoFiguresError: nobody has fitted figures for this board yet.
        UnsupportedModelError: the model is damaged, or holds what cannot be compiled.
    """
    device = find_device(device) if isinstance(device, str) else device
    if isinstance(model, Network):
        return _checked(model, device, limits, None, None)
    with TemporaryDirectory(prefix="automcu-") as folder:
        quantised = Path(folder, "quantised.onnx")
        file, calibrated = quantise_first(Path(model), calibrate, quantised)
        graph = import_model_file(file)
        graph, reduced = with_weights(graph, weights, device, limits.flash_bytes, data)
    return _checked(graph, device, limits, reduced, calibrated)


def _checked(
    judged: Network | Graph,
    device: Device,
    limits: Limits,
    weights: LowBitWeights | None,
    calibrated: Calibrated | None,
) -> CheckResult:
    needed, tiling = _cost(judged, device, limits.ram_bytes)
    verdict = compare(needed, device, limits)
    remedies = () if verdict.fits else _remedies(judged, device, limits)
    if not verdict.fits:
        verdict = with_remedies(verdict, remedies)
    return CheckResult(verdict, remedies, weights, tiling, calibrated)


def _cost(
    judged: Network | Graph, device: Device, max_ram_bytes: int | None
) -> tuple[Estimate, RowTilingEffect | None]:
    """What it needs; a file's network runs some rows at a time where RAM asks for it."""
    if isinstance(judged, Network):
        return estimate(judged, device), None
    program = compile_within(judged, device, max_ram_bytes)
    return estimate_program(program, device), row_tiling(program, judged, device)


def _remedies(judged: Network | Graph, device: Device, limits: Limits) -> tuple[Remedy, ...]:
    boards = all_devices().values()
    if isinstance(judged, Network):
        return family_of(judged).remedies(judged, device, boards, limits)
    ram = limits.ram_bytes
    return (
        *bits_remedies(judged, lambda graph: _cost(graph, device, ram)[0], device, limits),
        *board_remedies(lambda board: _cost(judged, board, ram)[0], device, boards, limits),
    )
