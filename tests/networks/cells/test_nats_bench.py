"""NATS-Bench's own files, written here as its package writes them: bzip2, pickle, containers."""

import bz2
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automcu.errors import WrongInputError
from automcu.networks.cells.accuracies import read_accuracy_table
from automcu.networks.cells.cell import Cell, all_cells

EPOCHS = 200
SCORES = {"cifar10": (93.0, 94.0), "cifar100": (71.0, 72.0), "ImageNet16-120": (46.0, 47.0)}
TEST_SETS = {"cifar10": "ori-test", "cifar100": "x-test", "ImageNet16-120": "x-test"}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


class Command:
    """Runs a command when a careless reader unpickles it."""

    def __init__(self, line: str) -> None:
        self.line = line

    def __reduce__(self) -> Any:
        return os.system, (self.line,)


def trial(name: str, accuracy: float) -> dict[str, Any]:
    """One trained network: `ResultsCount.state_dict()` in the package."""
    sets = [TEST_SETS[name], *(["x-valid", "ori-test"] if name != "cifar10" else [])]
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": OrderedDict(dict.fromkeys(range(EPOCHS), 10.0)),
        "arch_config": {"channel": 16, "num_cells": 5},
        "params": np.float64(1.07),
        "epochs": EPOCHS,
        "latency": [0.01],
        "eval_names": sets,
        "eval_acc1es": {
            f"{one}@{epoch}": np.float64(accuracy if (one, epoch) == (sets[0], 199) else 11.0)
            for one in dict.fromkeys(sets)
            for epoch in (0, EPOCHS - 1)
        },
    }


def results(index: int, shift: float = 0.0) -> dict[str, Any]:
    """One cell: `ArchResults.state_dict()` by training schedule."""
    trials = {
        (name, 777 + seed): trial(name, score - shift)
        for name, scores in SCORES.items()
        for seed, score in enumerate(scores)
    }
    state = {
        "arch_index": index,
        "arch_str": str(Cell.from_index(index)),
        "all_results": trials,
        "dataset_seed": {name: [777, 778] for name in SCORES},
        "clear_net_done": True,
    }
    return OrderedDict({"12": {**state, "all_results": {}}, "200": state})


def write(path: Path, content: object) -> Path:
    path.write_bytes(bz2.compress(pickle.dumps(content, protocol=4)))
    return path


def whole_file(folder: Path, cells: dict[int, dict[str, Any]]) -> Path:
    content = {
        "meta_archs": [str(cell) for cell in all_cells()],
        "total_archs": 15625,
        "arch2infos": cells,
        "evaluated_indexes": set(cells),
    }
    return write(folder / "NATS-tss-v1_0-3ffb9.pickle.pbz2", content)


@pytest.mark.parametrize(
    ("dataset", "expected"), [("cifar10", 93.5), ("cifar100", 71.5), ("ImageNet16-120", 46.5)]
)
def test_the_file_gives_the_mean_test_accuracy_of_the_seeds(
    tmp_path: Path, dataset: Any, expected: float
) -> None:
    path = whole_file(tmp_path, {3: results(3), 15624: results(15624, shift=10)})
    table = read_accuracy_table(path, dataset)
    assert table.accuracy(Cell.from_index(3)) == pytest.approx(expected)
    assert table.accuracy(Cell.from_index(15624)) == pytest.approx(expected - 10)
    assert len(table) == 2
    assert table.source == f"NATS-tss-v1_0-3ffb9.pickle.pbz2, {dataset}"


def test_the_folder_gives_the_same_as_the_file(tmp_path: Path) -> None:
    cells = {index: results(index, shift=index / 10) for index in (0, 7, 42)}
    folder = tmp_path / "NATS-tss-v1_0-3ffb9-simple"
    folder.mkdir()
    write(folder / "meta.pickle.pbz2", {"meta_archs": []})
    for index, content in cells.items():
        write(folder / f"{index:06d}.pickle.pbz2", content)
    np.testing.assert_array_equal(
        read_accuracy_table(folder).accuracies,
        read_accuracy_table(whole_file(tmp_path, cells)).accuracies,
    )


def test_a_pickle_that_names_anything_but_plain_data_is_refused_and_runs_nothing(
    tmp_path: Path,
) -> None:
    trace = tmp_path / "trace"
    path = write(tmp_path / "NATS-tss.pickle.pbz2", {"meta_archs": Command(f"touch {trace}")})
    with pytest.raises(WrongInputError, match=r"names posix\.system"):
        read_accuracy_table(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ([1, 2], "a list where a table should be"),
        ({"arch2infos": {}}, "KeyError: 'meta_archs'"),
        ({"meta_archs": [], "arch2infos": {3: {}}}, "IndexError"),
        ({"meta_archs": [], "arch2infos": {}}, "holds no accuracies on cifar10"),
    ],
)
def test_another_layout_is_refused_with_what_is_wrong(
    tmp_path: Path, content: object, complaint: str
) -> None:
    path = write(tmp_path / "other.pickle.pbz2", content)
    with pytest.raises(WrongInputError) as caught:
        read_accuracy_table(path)
    assert complaint in str(caught.value)
    assert "other.pickle.pbz2" in str(caught.value)


def test_results_without_test_accuracies_are_refused(tmp_path: Path) -> None:
    content = results(3)
    for one in content["200"]["all_results"].values():
        one["eval_acc1es"].clear()
    with pytest.raises(WrongInputError, match="ori-test@199"):
        read_accuracy_table(whole_file(tmp_path, {3: content}))


@pytest.mark.parametrize("kept", [0, 100, 0.9])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, kept: float) -> None:
    path = whole_file(tmp_path, {3: results(3)})
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    with pytest.raises(WrongInputError, match="Download it again"):
        read_accuracy_table(path)


def test_a_file_that_is_not_compressed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plain.pickle.pbz2"
    path.write_bytes(pickle.dumps({}))
    with pytest.raises(WrongInputError, match="bzip2"):
        read_accuracy_table(path)


def test_the_size_space_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "032767.pickle.pbz2", results(3))
    with pytest.raises(WrongInputError, match="topology space"):
        read_accuracy_table(tmp_path)


def test_what_was_read_is_kept_while_the_file_stays_as_it_is(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = whole_file(tmp_path, {3: results(3)})
    first = read_accuracy_table(path)
    (entry,) = (cache / "automcu" / "accuracies").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr("automcu.networks.cells.accuracies._load", None)
        np.testing.assert_array_equal(read_accuracy_table(path).accuracies, first.accuracies)
    whole_file(tmp_path, {3: results(3, shift=20)})
    assert read_accuracy_table(path).accuracy(Cell.from_index(3)) == pytest.approx(73.5)
    assert read_accuracy_table(path, "cifar100").accuracy(Cell.from_index(3)) == pytest.approx(51.5)
    assert entry.is_file()


def test_a_damaged_entry_of_the_cache_is_made_anew(tmp_path: Path, cache: Path) -> None:
    path = whole_file(tmp_path, {3: results(3)})
    first = read_accuracy_table(path).accuracies
    (entry,) = (cache / "automcu" / "accuracies").iterdir()
    content = entry.read_bytes()
    for damaged in (b"", content[:1000], content[:-8] + bytes(8)):
        entry.write_bytes(damaged)
        np.testing.assert_array_equal(read_accuracy_table(path).accuracies, first)
        assert entry.read_bytes() == content
