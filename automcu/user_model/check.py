"""What a network needs on a board, before it is trained or built: a model file, or one to come."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from automcu.brief import NO_LIMITS, Limits
from automcu.compiler import Graph
from automcu.cost.estimation import estimate_program
from automcu.cost.records import ByRows, Estimate, Remedy, Verdict
from automcu.cost.remedies import bits_remedies, board_remedies, with_remedies
from automcu.cost.verdict import check as compare
from automcu.cost.within_ram import by_rows, compile_within
from automcu.mcu import all_devices, find_device
from automcu.mcu.profile import Device
from automcu.networks.estimate import estimate
from automcu.networks.family import Network, family_of
from automcu.user_model.compile import import_model_file
from automcu.user_model.low_bit_weights import LowBitWeights, with_weights
from automcu.user_model.quantise import Calibrated, quantise_first


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
    row_tiling: ByRows | None = None
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
) -> tuple[Estimate, ByRows | None]:
    """What it needs; a file's network runs some rows at a time where RAM asks for it."""
    if isinstance(judged, Network):
        return estimate(judged, device), None
    program = compile_within(judged, device, max_ram_bytes)
    return estimate_program(program, device), by_rows(program, judged, device)


def _remedies(judged: Network | Graph, device: Device, limits: Limits) -> tuple[Remedy, ...]:
    boards = all_devices().values()
    if isinstance(judged, Network):
        return family_of(judged).remedies(judged, device, boards, limits)
    ram = limits.ram_bytes
    return (
        *bits_remedies(judged, lambda graph: _cost(graph, device, ram)[0], device, limits),
        *board_remedies(lambda board: _cost(judged, board, ram)[0], device, boards, limits),
    )
