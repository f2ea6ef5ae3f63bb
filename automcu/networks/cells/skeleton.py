"""What is around a cell: skeletons scaled to the board, their counts, and which cells fit in one.

A cell's parameters and multiply-accumulates are linear in how many 1×1 and 3×3 convolutions it
has; everything else (stem, reduction blocks, head) belongs to the skeleton. So a skeleton is
counted once and a cell costs two multiplications.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from pydantic import PositiveInt

from automcu.cost.records import Verdict
from automcu.networks.cells.cell import Cell
from automcu.networks.family import FamilyPlan, Network, resolutions
from automcu.records import Record


class Skeleton(Record):
    """The outer network: a stem, three stages of cells joined by residual reduction blocks, a head.

    NAS-Bench-201 (Dong and Yang, ICLR 2020, section 2.1) uses 16 stem channels, 5 cells a stage,
    32x32x3 inputs and 10 classes. Channels double and resolution halves at each reduction. With
    `ternary`, the weights of all convolutions but the stem are -1, 0 or 1 times a scale.
    """

    stem_channels: PositiveInt = 16
    cells_per_stage: PositiveInt = 5
    resolution: PositiveInt = 32
    input_channels: PositiveInt = 3
    classes: PositiveInt = 10
    ternary: bool = False


class Architecture(Network):
    """One network of the space: the cell in the benchmark's own notation, and its skeleton."""

    cell: str
    skeleton: Skeleton

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an input."""
        return self.skeleton.resolution, self.skeleton.resolution, self.skeleton.input_channels

    @property
    def class_count(self) -> int:
        """How many classes it tells apart."""
        return self.skeleton.classes

    @property
    def index(self) -> int:
        """The cell's number in the benchmark's list."""
        return Cell.parse(self.cell).index


STAGES = 3


@dataclass(frozen=True, slots=True)
class Stage:
    """What the cells of one stage see: `channels` maps of `resolution` × `resolution`."""

    channels: int
    resolution: int


@dataclass(frozen=True, slots=True)
class _Count:
    """The skeleton's own share, and what each convolution edge of the cell adds over all stages."""

    skeleton: int
    per_1x1: int
    per_3x3: int

    def of(self, cell: Cell) -> int:
        return (
            self.skeleton
            + self.per_1x1 * cell.edges.count("nor_conv_1x1")
            + self.per_3x3 * cell.edges.count("nor_conv_3x3")
        )


def stages(skeleton: Skeleton) -> Iterator[Stage]:
    """Yield the three stages; channels double and resolution halves, rounding up, in between."""
    channels, resolution = skeleton.stem_channels, skeleton.resolution
    for _ in range(STAGES):
        yield Stage(channels, resolution)
        channels, resolution = 2 * channels, (resolution + 1) // 2


def count_parameters(architecture: Architecture) -> int:
    """Count trainable parameters as NAS-Bench-201 does: dead edges included.

    Convolutions have no bias, batch normalisation has two parameters a channel, the classifier
    has a bias. Equals the benchmark's `params` at the default skeleton.

    Raises:
        WrongInputError: the architecture's cell cannot be parsed.
    """
    return _parameters(architecture.skeleton).of(Cell.parse(architecture.cell))


def count_macs(architecture: Architecture) -> int:
    """Count multiply-accumulates of one inference as NAS-Bench-201 does: dead edges included.

    Only convolutions and the classifier count, the classifier's bias as one each; pooling,
    normalisation and additions do not (AutoDL-Projects, utils/flop_benchmark.py). Equals the
    benchmark's `flops` at the default skeleton.

    Raises:
        WrongInputError: the architecture's cell cannot be parsed.
    """
    return _macs(architecture.skeleton).of(Cell.parse(architecture.cell))


def count_live_parameters(architecture: Architecture) -> int:
    """Count the trainable parameters of the network that `build_network` builds: live edges only.

    Raises:
        WrongInputError: the architecture's cell cannot be parsed.
    """
    cell = Cell.parse(architecture.cell).without_dead_edges()
    return _parameters(architecture.skeleton).of(cell)


def count_live_macs(architecture: Architecture) -> int:
    """Count the multiply-accumulates, by the benchmark's definition, of the live edges only.

    Raises:
        WrongInputError: the architecture's cell cannot be parsed.
    """
    return _macs(architecture.skeleton).of(Cell.parse(architecture.cell).without_dead_edges())


@lru_cache(maxsize=256)
def _parameters(skeleton: Skeleton) -> _Count:
    parts = list(stages(skeleton))
    stem = _convolution_weights(3, skeleton.input_channels, skeleton.stem_channels)
    stem += _normalisation_parameters(skeleton.stem_channels)
    reductions = sum(
        _reduction_weights(before.channels, after.channels)
        + 2 * _normalisation_parameters(after.channels)
        for before, after in pairwise(parts)
    )
    features = parts[-1].channels
    head = _normalisation_parameters(features) + (features + 1) * skeleton.classes
    return _Count(
        skeleton=stem + reductions + head,
        per_1x1=skeleton.cells_per_stage * sum(_edge_parameters(1, part) for part in parts),
        per_3x3=skeleton.cells_per_stage * sum(_edge_parameters(3, part) for part in parts),
    )


@lru_cache(maxsize=256)
def _macs(skeleton: Skeleton) -> _Count:
    parts = list(stages(skeleton))
    stem = _convolution_weights(3, skeleton.input_channels, skeleton.stem_channels)
    stem *= skeleton.resolution**2
    reductions = sum(
        _reduction_weights(before.channels, after.channels) * after.resolution**2
        for before, after in pairwise(parts)
    )
    head = (parts[-1].channels + 1) * skeleton.classes
    return _Count(
        skeleton=stem + reductions + head,
        per_1x1=skeleton.cells_per_stage * sum(_edge_macs(1, part) for part in parts),
        per_3x3=skeleton.cells_per_stage * sum(_edge_macs(3, part) for part in parts),
    )


def _convolution_weights(kernel: int, inputs: int, outputs: int) -> int:
    return kernel * kernel * inputs * outputs


def _normalisation_parameters(channels: int) -> int:
    return 2 * channels


def _reduction_weights(inputs: int, outputs: int) -> int:
    """Weights of a residual reduction block: two 3×3 convolutions and the 1×1 shortcut."""
    return (
        _convolution_weights(3, inputs, outputs)
        + _convolution_weights(3, outputs, outputs)
        + _convolution_weights(1, inputs, outputs)
    )


def _edge_parameters(kernel: int, stage: Stage) -> int:
    weights = _convolution_weights(kernel, stage.channels, stage.channels)
    return weights + _normalisation_parameters(stage.channels)


def _edge_macs(kernel: int, stage: Stage) -> int:
    return _convolution_weights(kernel, stage.channels, stage.channels) * stage.resolution**2


# Widths grow by about a quarter to a half, so that one step changes the cost by about two:
# finer steps would only give near copies.
STEM_CHANNELS = (4, 6, 8, 12, 16, 24, 32, 48, 64)
CELLS_PER_STAGE = (1, 2, 3, 5)


def skeleton_grid(input_shape: tuple[int, int, int], classes: int) -> tuple[Skeleton, ...]:
    """Return the skeletons for inputs of this shape.

    Args:
        input_shape: height, width, channels of the data.
        classes: number of classes.
    """
    return tuple(
        Skeleton(
            stem_channels=width,
            cells_per_stage=depth,
            resolution=resolution,
            input_channels=input_shape[2],
            classes=classes,
        )
        for resolution in resolutions(input_shape[:2])
        for depth in CELLS_PER_STAGE
        for width in STEM_CHANNELS
    )


class FeasibleCell(Record):
    """A cell of the space that fits, with its accuracy prior and its modelled cost."""

    index: int
    architecture: str
    prior: float | None
    latency_ms: float
    flash_bytes: int
    ram_bytes: int


class SurveyOverview(Record):
    """All 15,625 cells in one skeleton on one device, but for the list of those that fit.

    `excluded` counts the cells that each limit rules out (a cell may break several); `smallest` is
    what the smallest connected network of the skeleton needs, so that a miss can be stated in
    bytes and milliseconds; its `latency_percent` is the error bar of every latency here.
    """

    device: str
    skeleton: Skeleton
    cells: int
    feasible: int
    disconnected: int
    excluded: dict[str, int]
    seconds: float
    front: tuple[FeasibleCell, ...]
    smallest: Verdict


class Survey(SurveyOverview):
    """The same with all cells that fit: `feasible_cells`, ordered by prior, best first."""

    feasible_cells: tuple[FeasibleCell, ...]


class SkeletonSurvey(Record):
    """How much of one skeleton fits: the counts of a survey without its thousands of cells."""

    skeleton: Skeleton
    cells: int
    feasible: int
    disconnected: int
    excluded: dict[str, int]
    seconds: float


class CellPlan(FamilyPlan):
    """What was judged of the cells, and the best of them.

    `space` counts cells x skeletons, `feasible` those that fit: all of `surveyed`, and all of
    `ruled_out`, of whose skeletons not even the lightest network fits. `unexplored` skeletons fit
    too, but promise less than the surveyed ones.
    """

    surveyed: tuple[SkeletonSurvey, ...] = ()
    ruled_out: tuple[Skeleton, ...] = ()
    unexplored: tuple[Skeleton, ...] = ()
