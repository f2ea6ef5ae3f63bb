"""Known accuracies of the space's cells: the prior that the planner searches with.

The shipped ones are the columns of the `analog-nasbench` package, which ships one pickle,
`data.anb`, and needs the long-deprecated `pkg_resources` to import. So the file is found without
importing the package, and read by an unpickler that knows the two record classes in it and refuses
everything else: a pickle that names anything else cannot run.
"""

import csv
import importlib.util
import math
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from automcu.errors import ToolError, WrongInputError
from automcu.networks.cells.cell import CELL_COUNT, EDGES, Cell, Operation
from automcu.networks.cells.nats_bench import SUFFIX, AccuracyDataset, read_nats_bench

AccuracyKind = Literal["float", "int8", "int8-trained"]

_PACKAGE = "analognasbench"
_INSTALL = "Install it with: pip install analog-nasbench==0.1.3"

_ATTRIBUTES: dict[AccuracyKind, str] = {
    "float": "baseline_accuracy",
    "int8": "ptq_accuracy",
    "int8-trained": "qat_accuracy",
}

# The package writes a cell as six operation codes in its own code and edge order.
_OPERATIONS: tuple[Operation, ...] = (
    "skip_connect",
    "none",
    "nor_conv_3x3",
    "nor_conv_1x1",
    "avg_pool_3x3",
)
_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
_POSITIONS = tuple(_EDGES.index(edge) for edge in EDGES)


def read_accuracies(kind: AccuracyKind) -> NDArray[np.float64]:
    """Return float64 [15625] percent, in the benchmark's order.

    Raises:
        ToolError: the package is missing, or its data file is damaged or of another version.
    """
    path = _data_file()
    try:
        with path.open("rb") as file:
            table = _RecordsOnly(file).load()
        return _by_index(table, _ATTRIBUTES[kind])
    except Exception as error:  # a damaged pickle may raise anything
        raise ToolError(
            f"{path} is damaged or of another version ({type(error).__name__}: {error}). "
            "Reinstall it with: pip install --force-reinstall --no-deps analog-nasbench==0.1.3"
        ) from error


def _data_file() -> Path:
    specification = importlib.util.find_spec(_PACKAGE)
    if specification is None or not specification.submodule_search_locations:
        raise ToolError(f"The package analog-nasbench is missing. {_INSTALL}")
    path = Path(specification.submodule_search_locations[0]) / "data.anb"
    if not path.is_file():
        raise ToolError(f"The package analog-nasbench has lost its data file {path}. {_INSTALL}")
    return path


class _CellRecord:
    """Stands in for the package's `Architecture`: its attributes, none of its code."""


class _DriftRecord:
    """Stands in for the package's `DriftMeasurement`, of which nothing is kept."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        del state


_STAND_INS: dict[tuple[str, str], type] = {
    ("analognasbench.data", "Architecture"): _CellRecord,
    ("analognasbench.data", "DriftMeasurement"): _DriftRecord,
}


class _RecordsOnly(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> type:
        try:
            return _STAND_INS[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module_name}.{global_name}") from None


def _by_index(table: dict[tuple[int, ...], _CellRecord], attribute: str) -> NDArray[np.float64]:
    accuracies = np.full(CELL_COUNT, np.nan)
    for codes, record in table.items():
        cell = Cell(tuple(_OPERATIONS[codes[position]] for position in _POSITIONS))
        accuracies[cell.index] = getattr(record, attribute)
    if not np.all((accuracies >= 0) & (accuracies <= 100)):
        raise ValueError("it does not hold a percentage for every cell")
    return accuracies


_ACCURACY = "accuracy"
# What the column of cells may be called; its values are indices, or cells in their notation.
_CELL_COLUMNS = ("index", "cell", "architecture")


@dataclass(frozen=True, eq=False)
class AccuracyTable:
    """Accuracy in percent of every cell that the source knows.

    `accuracies` is read-only float64 [15625] in the benchmark's order, NaN where unknown.
    """

    source: str
    accuracies: NDArray[np.float64]

    def __post_init__(self) -> None:
        self.accuracies.setflags(write=False)

    def accuracy(self, cell: Cell) -> float | None:
        """Return the cell's accuracy in percent, or None where the table does not know it."""
        found = float(self.accuracies[cell.index])
        return None if math.isnan(found) else found

    def __len__(self) -> int:
        return int(np.count_nonzero(~np.isnan(self.accuracies)))


@lru_cache(maxsize=3)
def accuracy_prior(kind: AccuracyKind = "float") -> AccuracyTable:
    """Return the embedded prior: CIFAR-10 test accuracy of all 15,625 cells.

    It comes from AnalogNAS-Bench (the `analog-nasbench` package, MIT). `kind` chooses float
    accuracy, int8 after post-training quantisation, or int8 after quantisation-aware training;
    the float column agrees best with NAS-Bench-201's own (Spearman 0.991; 0.989; 0.936).

    Raises:
        ToolError: the package is missing or its data file is damaged.
    """
    return AccuracyTable(f"AnalogNAS-Bench, CIFAR-10, {kind}", read_accuracies(kind))


def unknown_accuracies() -> AccuracyTable:
    """Return the table that knows nothing."""
    return AccuracyTable("no accuracy table", np.full(CELL_COUNT, np.nan))


def read_accuracy_table(path: Path, dataset: AccuracyDataset = "cifar10") -> AccuracyTable:
    """Read a user's table: a CSV file, or NATS-Bench's own file or folder.

    A CSV file has the columns `accuracy` (percent) and `index`, `cell` or `architecture`: a number
    from 0 to 15,624 or a cell in the benchmark's notation. Further columns are ignored and cells
    may be missing. Of NATS-Bench's files, `dataset` chooses the accuracies.

    Raises:
        WrongInputError: the file cannot be read or a row is wrong; the message names the line.
    """
    if path.is_dir() or path.name.endswith(SUFFIX):
        return AccuracyTable(f"{path.name}, {dataset}", read_nats_bench(path, dataset))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return AccuracyTable(path.name, _read_rows(path, file))
    except OSError as error:
        raise WrongInputError(
            f"{path} cannot be read ({error.strerror}). Give a CSV file with the columns "
            "index,accuracy, or a NATS-Bench file."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise WrongInputError(
            f"{path} is not a CSV text file ({error}). Save it as UTF-8 CSV with the columns "
            "index,accuracy."
        ) from error


def _read_rows(path: Path, lines: Iterable[str]) -> NDArray[np.float64]:
    reader = csv.DictReader(lines, skipinitialspace=True, strict=True)
    names = reader.fieldnames or ()
    cells = next((name for name in _CELL_COLUMNS if name in names), None)
    missing = ([] if cells else ["index"]) + ([] if _ACCURACY in names else [_ACCURACY])
    if cells is None or missing:
        raise WrongInputError(
            f"{path} has no column {' and no column '.join(missing)}. "
            "Its first line must name the columns index (or cell) and accuracy."
        )
    accuracies = np.full(CELL_COUNT, np.nan)
    for index, accuracy in _checked_rows(path, reader, cells):
        accuracies[index] = accuracy
    _refuse_fractions(path, accuracies)
    return accuracies


def _checked_rows(
    path: Path, reader: "csv.DictReader[str]", cells: str
) -> Iterator[tuple[int, float]]:
    seen: dict[int, int] = {}
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        index = _index(where, row[cells])
        if index in seen:
            raise WrongInputError(
                f"{where}: cell {index} already stands on line {seen[index]}. Keep one of the two."
            )
        seen[index] = reader.line_num
        yield index, _percentage(where, row[_ACCURACY])


def _index(where: str, text: str | None) -> int:
    if text is not None and text.lstrip().startswith("|"):
        try:
            return Cell.parse(text).index
        except WrongInputError as error:
            raise WrongInputError(f"{where}: {error}") from error
    try:
        index = int(text or "")
    except ValueError:
        index = -1
    if not 0 <= index < CELL_COUNT:
        raise WrongInputError(
            f"{where}: {text!r} is not a cell index. Use whole numbers from 0 to "
            f"{CELL_COUNT - 1}, or cells in the benchmark's notation."
        )
    return index


def _percentage(where: str, text: str | None) -> float:
    try:
        accuracy = float(text or "")
    except ValueError:
        accuracy = math.nan
    if not 0 <= accuracy <= 100:
        raise WrongInputError(f"{where}: {text!r} is not an accuracy. Use percent, from 0 to 100.")
    return accuracy


def _refuse_fractions(path: Path, accuracies: NDArray[np.float64]) -> None:
    known = accuracies[~np.isnan(accuracies)]
    if not known.size:
        raise WrongInputError(f"{path} holds no accuracies. Add one line per cell.")
    if known.max() <= 1:
        raise WrongInputError(
            f"{path} seems to hold fractions: no accuracy is above 1. Multiply them by 100."
        )
