import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automcu.datasets.load import load_dataset
from automcu.errors import WrongInputError

SHARED_DATA = Path(os.environ.get("AUTOMCU_DATA", "../shared/data"))


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
