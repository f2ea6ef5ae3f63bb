from pathlib import Path

import numpy as np
import pytest

from automcu.datasets.load import load_dataset
from automcu.errors import WrongInputError


def _write(path: Path, rows: list[str]) -> str:
    path.write_text("\n".join(rows) + "\n")
    return str(path)


def _rows(count: int = 20) -> list[str]:
    return [
        f"{index},{index + 1},{index},{-index},{'up' if index % 2 else 'down'}"
        for index in range(count)
    ]


def test_a_row_is_a_window_of_height_one_and_its_last_column_the_label(tmp_path: Path) -> None:
    dataset = load_dataset(_write(tmp_path / "a.csv", _rows()))
    assert dataset.input_shape == (1, 4, 1)
    assert dataset.class_names == ("down", "up")
    assert dataset.train.inputs.min() >= 0
    assert dataset.train.inputs.max() <= 1
    assert "scaled from -19..20" in dataset.notes[0]


def test_interleaved_channels_are_scaled_one_by_one(tmp_path: Path) -> None:
    dataset = load_dataset(_write(tmp_path / "a.csv", _rows()), window_channels=2)
    assert dataset.input_shape == (1, 2, 2)
    everything = np.concatenate(
        [split.inputs for split in (dataset.train, dataset.validation, dataset.test)]
    )
    assert np.allclose(everything.min(axis=(0, 1, 2)), 0)
    assert np.allclose(everything.max(axis=(0, 1, 2)), 1)


def test_a_column_called_label_is_the_label_wherever_it_stands(tmp_path: Path) -> None:
    rows = ["Label,t0,t1", *(f"{index % 2},{index},{index}" for index in range(12))]
    dataset = load_dataset(_write(tmp_path / "a.csv", rows))
    assert dataset.input_shape == (1, 2, 1)
    assert dataset.class_names == ("0", "1")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "not a readable CSV"),
        (["t0,t1,label"], "no windows"),
        ([*_rows(), "1,2,oops,4,up"], "window 21, column 2 is not a number"),
        ([*_rows(), "1,2,3,4,"], "no label"),
        ([*_rows(), "1,2,3,4,5,6,7"], "not a readable CSV"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(WrongInputError, match=message):
        load_dataset(_write(tmp_path / "a.csv", rows))


def test_channels_must_divide_the_columns(tmp_path: Path) -> None:
    with pytest.raises(WrongInputError, match="4 sample columns cannot be divided among 3"):
        load_dataset(_write(tmp_path / "a.csv", _rows()), window_channels=3)
