import importlib.util
import os
import pickle
import sys
from pathlib import Path

import pytest

from automcu.errors import ToolError
from automcu.networks.cells.analog_nasbench import read_accuracies
from automcu.networks.cells.cell import Cell


class CellAccuracies:
    """Pickled under the package's own class name, as in its data file."""

    def __init__(self, accuracy):
        self.baseline_accuracy = accuracy


CellAccuracies.__module__ = "analognasbench.data"
CellAccuracies.__qualname__ = CellAccuracies.__name__ = "Architecture"


class Command:
    """Runs a command when a careless reader unpickles it."""

    def __init__(self, line):
        self.line = line

    def __reduce__(self):
        return os.system, (self.line,)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package `analognasbench` with the given data file in front of the real one."""

    def put(content):
        package = tmp_path / "analognasbench"
        package.mkdir()
        (package / "__init__.py").write_text("raise ImportError('must not be imported')")
        if content is not None:
            (package / "data.anb").write_bytes(content)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "analognasbench", raising=False)

    return put


@pytest.fixture
def pickled(monkeypatch):
    """Pickle as the package itself would, so that the records carry its module's name."""

    def dump(table):
        module = type(sys)("analognasbench.data")
        module.Architecture = CellAccuracies
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "analognasbench", type(sys)("analognasbench"))
            patch.setitem(sys.modules, "analognasbench.data", module)
            return pickle.dumps(table)

    return dump


def _all_codes():
    numbers = range(5**6)
    return [tuple(number // 5**place % 5 for place in range(6)) for number in numbers]


def test_the_packages_codes_are_translated_to_the_benchmarks_cells(install, pickled):
    table = {codes: CellAccuracies(20.0) for codes in _all_codes()}
    # 0→1 3x3, 0→2 none, 0→3 skip, 1→2 3x3, 1→3 none, 2→3 skip in the package's edge order
    table[2, 1, 0, 2, 1, 0] = CellAccuracies(93.91)
    install(pickled(table))
    accuracies = read_accuracies("float")
    resnet = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
    assert accuracies[Cell.parse(resnet).index] == 93.91
    assert (accuracies == 20.0).sum() == 15_624


def test_a_file_that_names_anything_else_is_refused_and_runs_nothing(install, tmp_path):
    trace = tmp_path / "trace"
    install(pickle.dumps({(0,) * 6: Command(f"touch {trace}")}))
    with pytest.raises(ToolError, match=r"names posix\.system"):
        read_accuracies("float")
    assert not trace.exists()


def test_the_package_itself_is_never_imported():
    read_accuracies("float")
    assert "analognasbench" not in sys.modules
    assert "analognasbench.data" not in sys.modules


@pytest.mark.parametrize("kept", [0, 1, 1000, 2_000_000])
def test_a_cut_off_file_is_refused_with_the_command_that_mends_it(install, kept):
    specification = importlib.util.find_spec("analognasbench")
    genuine = Path(specification.submodule_search_locations[0]) / "data.anb"
    install(genuine.read_bytes()[:kept])
    with pytest.raises(ToolError, match="pip install --force-reinstall"):
        read_accuracies("float")


def test_a_file_that_lacks_cells_is_refused(install, pickled):
    install(pickled({(0,) * 6: CellAccuracies(50.0)}))
    with pytest.raises(ToolError, match="a percentage for every cell"):
        read_accuracies("float")


def test_a_package_without_its_data_names_the_command_that_mends_it(install):
    install(None)
    with pytest.raises(ToolError, match="lost its data file"):
        read_accuracies("float")


def test_a_missing_package_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match="pip install analog-nasbench"):
        read_accuracies("float")
