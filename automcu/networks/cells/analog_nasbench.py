"""Read the accuracy columns of the `analog-nasbench` package without running its code.

The package ships one pickle, `data.anb`, and needs the long-deprecated `pkg_resources` to import.
So the file is found without importing the package, and read by an unpickler that knows the two
record classes in it and refuses everything else: a pickle that names anything else cannot run.
"""

import importlib.util
import pickle
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from automcu.errors import ToolError
from automcu.networks.cells.benchmark_order import CELL_COUNT
from automcu.networks.cells.cell import EDGES, Cell, Operation

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
