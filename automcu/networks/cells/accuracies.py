"""Known accuracies of the space's cells: the prior that the planner searches with."""

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.errors import WrongInputError
from automcu.networks.cells.analog_nasbench import AccuracyKind, read_accuracies
from automcu.networks.cells.benchmark_order import CELL_COUNT
from automcu.networks.cells.cell import Cell
from automcu.networks.cells.nats_bench import SUFFIX, AccuracyDataset, read_nats_bench

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
