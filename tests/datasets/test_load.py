import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from automcu.datasets.load import load_dataset
from automcu.datasets.record import Dataset
from automcu.errors import ToolError, WrongInputError


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


def _rows(dataset: Dataset) -> list[np.ndarray]:
    return [
        split.inputs.reshape(len(split.labels), -1)
        for split in (dataset.train, dataset.validation, dataset.test)
    ]


def test_digits_have_about_360_test_images_of_all_classes_in_equal_proportion() -> None:
    dataset = load_dataset("digits")
    assert dataset.input_shape == (8, 8, 1)
    assert dataset.class_names == tuple("0123456789")
    assert 350 <= len(dataset.test.labels) <= 370
    assert 1100 <= len(dataset.train.labels) <= 1200
    for split in (dataset.train, dataset.validation, dataset.test):
        counts = np.bincount(split.labels, minlength=10)
        assert counts.max() - counts.min() <= 0.1 * counts.mean() + 1


def test_digits_are_floats_from_0_to_1() -> None:
    train = load_dataset("digits").train
    assert train.inputs.dtype == np.float32
    assert train.labels.dtype == np.int64
    assert (train.inputs.min(), train.inputs.max()) == (0.0, 1.0)


def test_the_splits_together_are_the_whole_source_and_no_image_is_in_two() -> None:
    from sklearn.datasets import load_digits

    rows = np.concatenate(_rows(load_dataset("digits", seed=3)))
    source = (load_digits().data / 16).astype(np.float32)
    assert len(rows) == len(source)
    assert (np.sort(rows, axis=0) == np.sort(source, axis=0)).all()
    assert len(np.unique(rows, axis=0)) == len(np.unique(source, axis=0))


def test_the_seed_draws_the_splits() -> None:
    first, again, other = (load_dataset("digits", seed=seed).test.inputs for seed in (5, 5, 6))
    assert (first == again).all()
    assert first.shape != other.shape or (first != other).any()


def _pretend_keras(monkeypatch: pytest.MonkeyPatch, name: str, load: object) -> None:
    module = ModuleType(f"keras.datasets.{name}")
    module.load_data = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keras", ModuleType("keras"))
    monkeypatch.setitem(sys.modules, "keras.datasets", ModuleType("keras.datasets"))
    monkeypatch.setitem(sys.modules, f"keras.datasets.{name}", module)


def test_without_keras_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.setitem(sys.modules, "keras.datasets.mnist", None)
    with pytest.raises(ToolError, match=r"pip install 'automcu\[tflite\]'"):
        load_dataset("mnist")


def test_a_failed_download_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise Exception("URL fetch failure on https://example.org: None -- timed out\ndetails")

    _pretend_keras(monkeypatch, "cifar10", load)
    with pytest.raises(ToolError) as caught:
        load_dataset("CIFAR-10")
    assert "timed out" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_keras_prints_does_not_reach_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load() -> None:
        print("Downloading")
        raise OSError("refused")

    _pretend_keras(monkeypatch, "mnist", load)
    with pytest.raises(ToolError, match="refused"):
        load_dataset("mnist")
    assert capsys.readouterr() == ("", "Downloading\n")


def test_the_column_of_labels_and_the_test_split_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((200, 32, 32, 3), dtype=np.uint8)
    labels = (np.arange(200) % 10).reshape(-1, 1)
    _pretend_keras(monkeypatch, "cifar10", lambda: ((pixels, labels), (pixels[:50], labels[:50])))
    dataset = load_dataset("cifar10")
    assert len(dataset.test.labels) == 50
    assert dataset.class_names[3] == "cat"
    assert dataset.train.labels.shape == (160,)
