from pathlib import Path

import numpy as np
import pytest

from automcu.datasets.load import load_dataset
from automcu.errors import WrongInputError


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(WrongInputError, match="Did you mean 'fashion_mnist'"):
        load_dataset("fashion_mnits")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(WrongInputError, match="one of digits, mnist"):
        load_dataset("qqqq")


def test_a_file_of_another_kind_is_not_a_data_set(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(WrongInputError, match=r"notes\.txt is neither a folder"):
        load_dataset(str(path))


def test_any_source_can_be_brought_to_another_resolution() -> None:
    small, large = load_dataset("digits"), load_dataset("digits", image_side=12)
    assert large.input_shape == (12, 12, 1)
    assert np.array_equal(small.test.labels, large.test.labels)
    assert abs(small.test.inputs.mean() - large.test.inputs.mean()) < 0.01
    assert large.test.inputs.max() <= 1


@pytest.mark.parametrize("side", [0, -3, 100_000])
def test_an_impossible_image_side_is_refused(side: int) -> None:
    with pytest.raises(WrongInputError, match="a side are not possible"):
        load_dataset("digits", image_side=side)
