"""Known accuracies of the space's cells: the prior that the planner searches with.

The shipped ones are the columns of the `analog-nasbench` package, which ships one pickle,
`data.anb`, and needs the long-deprecated `pkg_resources` to import. So the file is found without
importing the package, and read by an unpickler that knows the two record classes in it and refuses
everything else: a pickle that names anything else cannot run.

NATS-Bench's own files are read likewise (Dong et al., "NATS-Bench: Benchmarking NAS Algorithms for
Architecture Topology and Size", TPAMI 2021; layout as in its package's `api_topology.py` and
`api_utils.py`). The topology space comes as one file, `NATS-tss-v1_0-3ffb9.pickle.pbz2`, or as a
folder, `NATS-tss-v1_0-3ffb9-simple`, with one `000000.pickle.pbz2` for each cell. Both are bzip2
files of pickles of plain containers, so the unpickler knows those, and numpy's numbers, and refuses
everything else.
"""

import bz2
import csv
import hashlib
import importlib.util
import math
import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from automcu import __version__
from automcu.errors import ToolError, WrongInputError
from automcu.networks.cells.cell import CELL_COUNT, EDGES, Cell, Operation
from automcu.records import cache_folder, read_cached, write_cached

AccuracyDataset = Literal["cifar10", "cifar100", "ImageNet16-120"]
ACCURACY_DATASETS: tuple[AccuracyDataset, ...] = get_args(AccuracyDataset)

SUFFIX = ".pickle.pbz2"

# The test set of each data set (CIFAR-100 and ImageNet16-120 also have a validation set in theirs).
_TEST_SETS: dict[AccuracyDataset, str] = {
    "cifar10": "ori-test",
    "cifar100": "x-test",
    "ImageNet16-120": "x-test",
}
_FULL_TRAINING = "200"  # epochs, as the benchmark writes its training schedules

_PLAIN = {
    ("collections", "OrderedDict"),
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
}


def read_nats_bench(path: Path, dataset: AccuracyDataset) -> NDArray[np.float64]:
    """Return test accuracy in percent after 200 epochs, the mean of all seeds; NaN where missing.

    `path` is the file or the folder; the result is float64 [15625] in the benchmark's order.
    Reading takes minutes, so it is kept in the user's cache while the files stay as they are.

    Raises:
        WrongInputError: the file is damaged, holds anything but plain data, or is of another
            benchmark; the message names the file.
    """
    entry = _entry(path, dataset)
    body = read_cached(entry) if entry else None
    if body is not None and len(body) == CELL_COUNT * np.dtype(np.float64).itemsize:
        return np.frombuffer(body, np.float64).copy()
    accuracies = _read(path, dataset)
    if entry:
        write_cached(entry, accuracies.tobytes())
    return accuracies


def _entry(path: Path, dataset: AccuracyDataset) -> Path | None:
    """Where the cache has these accuracies; None where there is no cache or no such file."""
    try:
        files = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        states = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        folder = cache_folder() / "accuracies"
    except OSError:
        return None
    asked = repr((__version__, str(path.resolve()), dataset, states))
    return folder / f"{hashlib.sha256(asked.encode()).hexdigest()}.float64"


def _read(path: Path, dataset: AccuracyDataset) -> NDArray[np.float64]:
    accuracies = np.full(CELL_COUNT, np.nan)
    for where, index, results in _all_results(path):
        accuracies[index] = _accuracy(where, results, dataset)
    if np.isnan(accuracies).all():
        raise WrongInputError(
            f"{path} holds no accuracies on {dataset} after {_FULL_TRAINING} epochs. "
            f"It has to be NATS-Bench's topology file or its '-simple' folder."
        )
    return accuracies


def _all_results(path: Path) -> Iterator[tuple[Path, int, Mapping[str, Any]]]:
    """Yield for each cell the file that it stands in, its index, and its results by schedule."""
    if path.is_dir():
        files = [file for file in sorted(path.glob(f"*{SUFFIX}")) if _number(file) is not None]
        if not files:
            raise WrongInputError(
                f"{path} holds no files such as 000000{SUFFIX}. Give the folder "
                "NATS-tss-v1_0-3ffb9-simple, a NATS-Bench file, or a CSV file."
            )
        for file in files:
            index = _number(file)
            if index is not None:
                yield file, _checked_index(file, index), _mapping(file, _load(file))
        return
    content = _mapping(path, _load(path))
    try:
        cells, by_index = content["meta_archs"], content["arch2infos"]
        for index, results in by_index.items():
            # The file's own list of cells decides, should its order ever be another one.
            yield path, Cell.parse(cells[index]).index, _mapping(path, results)
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        raise _other_layout(path, error) from error


def _number(file: Path) -> int | None:
    name = file.name.removesuffix(SUFFIX)
    return int(name) if name.isdecimal() else None


def _checked_index(file: Path, index: int) -> int:
    if index >= CELL_COUNT:
        raise WrongInputError(
            f"{file} is of a space with more than {CELL_COUNT} cells. "
            "Only NATS-Bench's topology space (tss) can be read."
        )
    return index


def _accuracy(where: Path, results: Mapping[str, Any], dataset: AccuracyDataset) -> float:
    """The mean over the seeds of one cell; NaN where it was not trained to the end."""
    try:
        if _FULL_TRAINING not in results:
            return float("nan")
        trials = results[_FULL_TRAINING]["all_results"]
        found = [
            float(trial["eval_acc1es"][f"{_TEST_SETS[dataset]}@{trial['epochs'] - 1}"])
            for (trained_on, _), trial in trials.items()
            if trained_on == dataset
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _other_layout(where, error) from error
    if not all(0 <= accuracy <= 100 for accuracy in found):
        raise WrongInputError(f"{where} holds accuracies that are no percentages. Load it again.")
    return float(np.mean(found)) if found else float("nan")


def _mapping(path: Path, content: Any) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise _other_layout(path, TypeError(f"a {type(content).__name__} where a table should be"))
    return content


def _other_layout(path: Path, error: Exception) -> WrongInputError:
    return WrongInputError(
        f"{path} has another layout than NATS-Bench's topology files "
        f"({type(error).__name__}: {error}). Give NATS-tss-v1_0-3ffb9{SUFFIX} or a CSV file."
    )


def _load(path: Path) -> Any:
    try:
        with bz2.open(path, "rb") as file:
            return _PlainDataOnly(file).load()
    except OSError as error:
        raise WrongInputError(
            f"{path} cannot be read ({error}). Give a NATS-Bench file that is bzip2-compressed, "
            "as it was downloaded."
        ) from error
    except Exception as error:  # a damaged pickle may raise anything
        raise WrongInputError(
            f"{path} is damaged, or no NATS-Bench file ({type(error).__name__}: {error}). "
            "Download it again."
        ) from error


class _PlainDataOnly(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in _PLAIN:
            raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")
        # Files of older numpy versions name modules that newer ones have renamed.
        return super().find_class(module_name.replace("numpy.core", "numpy._core"), global_name)


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
