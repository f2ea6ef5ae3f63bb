import numpy as np

from automcu.datasets.load import load_dataset
from automcu.datasets.record import Dataset


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
