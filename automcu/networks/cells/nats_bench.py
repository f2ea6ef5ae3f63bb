"""Read accuracies from NATS-Bench's own files without running the code that a pickle may hold.

Dong et al., "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size", TPAMI
2021; layout as in its package's `api_topology.py` and `api_utils.py`. The topology space comes as
one file, `NATS-tss-v1_0-3ffb9.pickle.pbz2`, or as a folder, `NATS-tss-v1_0-3ffb9-simple`, with one
`000000.pickle.pbz2` for each cell. Both are bzip2 files of pickles of plain containers, so the
unpickler knows those, and numpy's numbers, and refuses everything else.
"""

import bz2
import hashlib
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from automcu import __version__
from automcu.errors import WrongInputError
from automcu.networks.cells.cell import CELL_COUNT, Cell
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
