import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from automcu.datasets.load import load_dataset
from automcu.errors import WrongInputError

SHARED_DATA = Path(os.environ.get("AUTOMCU_DATA", "../shared/data"))


def _images(count: int = 60, side: int = 6) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, side, side), dtype=np.uint8)


def _labels(count: int = 60) -> NDArray[np.int64]:
    return np.arange(count) % 3


def _save(path: Path, **arrays: object) -> str:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return str(path)


@pytest.mark.parametrize(("images", "labels"), [("x", "y"), ("inputs", "labels"), ("X", "Y")])
def test_bytes_become_fractions_of_255(tmp_path: Path, images: str, labels: str) -> None:
    source = _images()
    dataset = load_dataset(_save(tmp_path / "a.npz", **{images: source, labels: _labels()}))
    assert dataset.input_shape == (6, 6, 1)
    parts = (dataset.train, dataset.validation, dataset.test)
    pixels = np.concatenate([split.inputs for split in parts]) * 255
    assert np.allclose(pixels, np.round(pixels), atol=1e-4)
    assert sorted(np.round(pixels).ravel()) == sorted(source.ravel())


def test_floats_from_0_to_1_are_kept_as_they_are(tmp_path: Path) -> None:
    source = np.random.default_rng(0).random((60, 4, 5, 3))
    dataset = load_dataset(_save(tmp_path / "a.npz", x=source, y=_labels()))
    assert dataset.input_shape == (4, 5, 3)
    pixels = np.concatenate([s.inputs for s in (dataset.train, dataset.validation, dataset.test)])
    assert np.array_equal(np.sort(pixels.ravel()), np.sort(source.astype(np.float32).ravel()))


def test_a_test_split_of_its_own_is_kept_whole_and_in_order(tmp_path: Path) -> None:
    test = _images(9)
    path = _save(
        tmp_path / "a.npz", x_train=_images(), y_train=_labels(), x_test=test, y_test=_labels(9)
    )
    dataset = load_dataset(path)
    assert np.array_equal(np.round(dataset.test.inputs[..., 0] * 255), test)
    assert len(dataset.train.labels) + len(dataset.validation.labels) == 60


def test_class_names_come_from_strings_numbers_or_an_array(tmp_path: Path) -> None:
    words = np.array(["cat", "dog", "ant"])[_labels()]
    named = load_dataset(_save(tmp_path / "a.npz", x=_images(), y=words))
    assert named.class_names == ("ant", "cat", "dog")
    numbered = load_dataset(_save(tmp_path / "b.npz", x=_images(), y=_labels() * 10))
    assert numbered.class_names == ("0", "10", "20")
    assert set(numbered.train.labels) == {0, 1, 2}
    given = load_dataset(
        _save(tmp_path / "c.npz", x=_images(), y=_labels(), class_names=np.array(["u", "v", "w"]))
    )
    assert given.class_names == ("u", "v", "w")


def test_columns_and_one_hot_rows_are_labels_too(tmp_path: Path) -> None:
    column = load_dataset(_save(tmp_path / "a.npz", x=_images(), y=_labels()[:, None]))
    one_hot = load_dataset(_save(tmp_path / "b.npz", x=_images(), y=np.eye(3)[_labels()]))
    assert np.array_equal(column.train.labels, one_hot.train.labels)


WRONG_ARRAYS: dict[str, tuple[dict[str, object], str]] = {
    "one class": ({"x": _images(), "y": np.zeros(60)}, "one class only"),
    "lengths differ": ({"x": _images(), "y": _labels(59)}, "60 images but 59 labels"),
    "NaN pixels": ({"x": np.where(_images() > 250, np.nan, 0.5), "y": _labels()}, "NaN"),
    "NaN labels": ({"x": _images(), "y": np.full(60, np.nan)}, "labels are NaN"),
    "regression": ({"x": _images(), "y": np.linspace(0, 1, 60)}, "not whole numbers"),
    "negative pixels": ({"x": _images() / 127.5 - 1, "y": _labels()}, "run from -1 to 1"),
    "too large pixels": ({"x": _images().astype(int) * 9, "y": _labels()}, "Scale them"),
    "strings as images": ({"x": np.full((60, 4, 4), "a"), "y": _labels()}, "not numbers"),
    "flat images": ({"x": _images().reshape(60, -1), "y": _labels()}, r"shape \[60, 36\]"),
    "no images": ({"x": np.zeros((0, 4, 4)), "y": np.zeros(0)}, "no images"),
    "channels first": ({"x": np.zeros((60, 3, 6, 6)), "y": _labels()}, r"transpose\(0, 2, 3, 1\)"),
    "other names": ({"pixels": _images(), "truth": _labels()}, "pixels, truth"),
    "a rare class": ({"x": _images(), "y": np.arange(60) == 7}, "too few"),
    "unknown test class": (
        {"x_train": _images(), "y_train": _labels(), "x_test": _images(4), "y_test": np.full(4, 9)},
        "label 9 is not among the training classes",
    ),
    "sizes differ": (
        {"x_train": _images(), "y_train": _labels(), "x_test": _images(6, 5), "y_test": _labels(6)},
        "Bring them to one size",
    ),
}


@pytest.mark.parametrize("case", WRONG_ARRAYS)
def test_wrong_arrays_are_named_with_their_file_and_what_to_do(tmp_path: Path, case: str) -> None:
    arrays, message = WRONG_ARRAYS[case]
    path = _save(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(WrongInputError, match=message) as caught:
        load_dataset(path)
    assert "wrong.npz" in str(caught.value)
    assert str(caught.value).endswith(".")


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Malicious:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (marker,))

    objects = np.array([Malicious()] * 4, dtype=object)
    path = _save(tmp_path / "wrong.npz", x=objects, y=np.arange(4))
    with pytest.raises(WrongInputError, match="Python objects"):
        load_dataset(path)
    assert not marker.exists()


@pytest.mark.parametrize("kept", [0, 10, 500, 0.9])
def test_a_truncated_archive_is_damaged(tmp_path: Path, kept: float) -> None:
    path = Path(_save(tmp_path / "wrong.npz", x=_images(), y=_labels()))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    with pytest.raises(WrongInputError, match=r"wrong\.npz"):
        load_dataset(str(path))


def test_a_flipped_byte_inside_an_array_is_damage_not_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "wrong.npz"
    np.savez_compressed(path, x=_images(), y=_labels())
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(WrongInputError, match="damaged"):
        load_dataset(str(path))


def test_an_archive_of_other_files_is_not_a_data_set(tmp_path: Path) -> None:
    path = tmp_path / "wrong.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"not an array")
        archive.writestr("y.npy", b"neither")
    with pytest.raises(WrongInputError, match="damaged"):
        load_dataset(str(path))


def test_mnist_in_one_archive_loads_with_its_own_test_split() -> None:
    path = SHARED_DATA / "mnist_full.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not there; set AUTOMCU_DATA")
    dataset = load_dataset(str(path))
    assert dataset.input_shape == (28, 28, 1)
    assert len(dataset.test.labels) == 10_000
    assert len(dataset.train.labels) + len(dataset.validation.labels) == 60_000


def _pack(path: Path, count: int = 30, damaged: int = 0) -> str:
    files = []
    for index in range(count):
        buffer = io.BytesIO()
        Image.new("RGB", (16, 16), (index % 3 * 100, 50, 50)).save(buffer, "JPEG")
        files.append(b"damaged" if index < damaged else buffer.getvalue())
    np.savez(
        path,
        jpeg=np.frombuffer(b"".join(files), dtype=np.uint8),
        offset=np.cumsum([0, *map(len, files)]).astype(np.uint32),
        label=(np.arange(count) % 3).astype(np.uint8),
    )
    return str(path)


def test_a_pack_is_decoded_and_split(tmp_path: Path) -> None:
    dataset = load_dataset(_pack(tmp_path / "pack.npz"))
    assert dataset.input_shape == (16, 16, 3)
    red = dataset.train.inputs[..., 0].mean(axis=(1, 2)) * 255
    assert np.allclose(red, dataset.train.labels * 100, atol=4)


def test_a_test_pack_beside_the_training_pack_is_the_test_split(tmp_path: Path) -> None:
    _pack(tmp_path / "my_test_pack.npz", count=12)
    dataset = load_dataset(_pack(tmp_path / "my_train_pack.npz"))
    assert len(dataset.test.labels) == 12
    assert len(dataset.train.labels) + len(dataset.validation.labels) == 30


def test_damaged_pictures_in_a_pack_are_left_out_and_counted(tmp_path: Path) -> None:
    dataset = load_dataset(_pack(tmp_path / "pack.npz", damaged=2))
    assert "2 of 30" in dataset.notes[0]
    assert sum(len(s.labels) for s in (dataset.train, dataset.validation, dataset.test)) == 28


def test_offsets_that_leave_the_file_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "pack.npz"
    np.savez(path, jpeg=np.zeros(10, np.uint8), offset=np.array([0, 5, 11]), label=np.array([0, 1]))
    with pytest.raises(WrongInputError, match="offsets do not mark"):
        load_dataset(str(path))


def test_the_beginning_of_the_cifar10_pack_decodes(tmp_path: Path) -> None:
    path = SHARED_DATA / "cifar10_test_jpegpack.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not there; set AUTOMCU_DATA")
    with np.load(path) as whole:
        offsets = whole["offset"][:401]
        np.savez(
            tmp_path / "pack.npz",
            jpeg=whole["jpeg"][: offsets[-1]],
            offset=offsets,
            label=whole["label"][:400],
        )
    dataset = load_dataset(str(tmp_path / "pack.npz"))
    assert dataset.input_shape == (32, 32, 3)
    assert len(dataset.class_names) == 10
    assert dataset.notes == ()
