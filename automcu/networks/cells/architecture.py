"""An architecture: a NAS-Bench-201 cell in a skeleton that is scaled to the board."""

from pydantic import PositiveInt

from automcu.networks.cells.cell import Cell
from automcu.networks.family import Network
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
