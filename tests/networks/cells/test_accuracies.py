import importlib.util
import math
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from automcu.errors import ToolError, WrongInputError
from automcu.networks.cells.accuracies import (
    accuracy_prior,
    read_accuracies,
    read_accuracy_table,
    unknown_accuracies,
)
from automcu.networks.cells.cell import Cell, all_cells


@pytest.fixture
def write_table(tmp_path):
    def write(text):
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_the_prior_knows_every_cell_in_percent():
    prior = accuracy_prior()
    assert len(prior) == 15_625
    assert 90 < prior.accuracies.max() < 95
    assert prior.accuracies.min() == 10


def test_the_prior_ranks_cells_as_the_benchmark_does(benchmark_rows):
    published = [float(row["c10_test200"]) for row in benchmark_rows]
    assert spearmanr(accuracy_prior().accuracies, published).statistic >= 0.99
    assert spearmanr(accuracy_prior("int8").accuracies, published).statistic >= 0.985
    assert spearmanr(accuracy_prior("int8-trained").accuracies, published).statistic >= 0.93


def test_a_cell_that_ignores_its_input_is_rated_at_chance():
    unconnected = [cell for cell in all_cells() if not cell.is_connected]
    assert {accuracy_prior().accuracy(cell) for cell in unconnected} == {10.0}


def test_the_prior_is_read_once_and_cannot_be_changed():
    assert accuracy_prior() is accuracy_prior()
    with pytest.raises(ValueError, match="read-only"):
        accuracy_prior().accuracies[0] = 100


def test_a_csv_table_is_read_by_index(write_table):
    table = read_accuracy_table(write_table("index,accuracy\n11472,93.91\n0,85.86\n"))
    assert table.accuracy(Cell.from_index(11472)) == 93.91
    assert table.accuracy(Cell.from_index(0)) == 85.86
    assert len(table) == 2


def test_a_cell_that_the_table_does_not_hold_is_unknown_rather_than_zero(write_table):
    table = read_accuracy_table(write_table("index,accuracy\n3,50\n"))
    assert table.accuracy(Cell.from_index(4)) is None
    assert math.isnan(table.accuracies[4])


def test_further_columns_any_order_and_a_byte_order_mark_are_accepted(write_table):
    path = write_table(b"\xef\xbb\xbfnote,accuracy, index\r\nbest,94.37,6111\r\n")
    assert read_accuracy_table(path).accuracy(Cell.from_index(6111)) == 94.37


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no column index and no column accuracy"),
        ("index,acc\n1,2\n", "no column accuracy"),
        ("index,accuracy\n", "holds no accuracies"),
        ("index,accuracy\n15625,50\n", "line 2: '15625' is not a cell index"),
        ("index,accuracy\n1,50\n-1,50\n", "line 3: '-1' is not a cell index"),
        ("index,accuracy\n1.5,50\n", "'1.5' is not a cell index"),
        ("index,accuracy\n1,ninety\n", "'ninety' is not an accuracy"),
        ("index,accuracy\n1,nan\n", "'nan' is not an accuracy"),
        ("index,accuracy\n1,100.1\n", "'100.1' is not an accuracy"),
        ("index,accuracy\n1\n", "None is not an accuracy"),
        ("index,accuracy\n1,50\n2,60\n1,51\n", "line 4: cell 1 already stands on line 2"),
        ("index,accuracy\n1,0.93\n2,0.91\n", "Multiply them by 100"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "not a CSV text file"),
        ('index,accuracy\n1,"50\n', "not a CSV text file"),
    ],
)
def test_a_wrong_table_is_refused_with_the_place_and_the_remedy(write_table, text, complaint):
    path = write_table(text)
    with pytest.raises(WrongInputError) as caught:
        read_accuracy_table(path)
    assert complaint in str(caught.value)
    assert "table.csv" in str(caught.value)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(WrongInputError, match="cannot be read"):
        read_accuracy_table(tmp_path / "none.csv")
    with pytest.raises(WrongInputError, match=r"holds no files such as 000000\.pickle\.pbz2"):
        read_accuracy_table(tmp_path)


@pytest.mark.parametrize("column", ["cell", "architecture"])
def test_a_csv_table_may_name_cells_in_the_benchmarks_notation(write_table, column):
    cell = Cell.from_index(11472)
    table = read_accuracy_table(write_table(f"{column},accuracy\n{cell},93.91\n7,50\n"))
    assert table.accuracy(cell) == 93.91
    assert table.accuracy(Cell.from_index(7)) == 50


def test_a_cell_that_cannot_be_parsed_is_refused_with_its_line(write_table):
    with pytest.raises(WrongInputError, match=r"line 2: .* is not a NAS-Bench-201 cell"):
        read_accuracy_table(write_table("cell,accuracy\n|conv~0|,50\n"))


def test_a_table_that_knows_nothing_knows_nothing():
    assert len(unknown_accuracies()) == 0
    assert unknown_accuracies().accuracy(Cell.from_index(3)) is None


def test_a_table_written_from_the_prior_reads_back_the_same(write_table):
    prior = accuracy_prior().accuracies
    lines = [f"{index},{accuracy}" for index, accuracy in enumerate(prior)]
    table = read_accuracy_table(write_table("\n".join(["index,accuracy", *lines])))
    np.testing.assert_array_equal(table.accuracies, prior)


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
