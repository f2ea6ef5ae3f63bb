from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automcu.datasets.load import load_dataset
from automcu.errors import WrongInputError


def _save(path: Path, mode: str = "L", size: tuple[int, int] = (12, 12), value: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = value if mode in ("L", "I;16") else (value, 0, 255 - value)
    Image.new(mode, size, colour).save(path)
    return path


def _folder(root: Path, count: int = 6, mode: str = "L", size: tuple[int, int] = (12, 12)) -> Path:
    for name, value in (("left", 40), ("right", 200)):
        for index in range(count):
            _save(root / name / f"{index}.png", mode, size, value)
    return root


def test_each_sub_folder_is_a_class_and_grey_images_keep_one_channel(tmp_path: Path) -> None:
    dataset = load_dataset(str(_folder(tmp_path)))
    assert dataset.class_names == ("left", "right")
    assert dataset.input_shape == (12, 12, 1)
    assert np.allclose(dataset.train.inputs[dataset.train.labels == 1], 200 / 255)
    assert dataset.notes == ()


def test_one_colour_image_makes_three_channels_of_all(tmp_path: Path) -> None:
    _save(_folder(tmp_path) / "left" / "colour.png", "RGB")
    assert load_dataset(str(tmp_path)).input_shape == (12, 12, 3)


def test_the_common_size_is_that_of_typical_images_within_what_boards_hold(tmp_path: Path) -> None:
    assert load_dataset(str(_folder(tmp_path / "a", size=(30, 41)))).input_shape == (28, 28, 1)
    assert load_dataset(str(_folder(tmp_path / "b", size=(640, 480)))).input_shape == (96, 96, 1)
    given = load_dataset(str(_folder(tmp_path / "c", size=(640, 480))), image_side=20)
    assert given.input_shape == (20, 20, 1)


def test_split_folders_are_used_as_they_are_and_missing_ones_are_drawn(tmp_path: Path) -> None:
    _folder(tmp_path / "train", count=10)
    _folder(tmp_path / "test", count=3)
    dataset = load_dataset(str(tmp_path))
    assert len(dataset.test.labels) == 6
    assert len(dataset.train.labels) + len(dataset.validation.labels) == 20
    _folder(tmp_path / "val", count=4)
    dataset = load_dataset(str(tmp_path))
    assert (len(dataset.train.labels), len(dataset.validation.labels)) == (20, 8)


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    for name, value in (("dark", 8_000), ("bright", 48_000)):
        for index in range(3):
            _save(tmp_path / name / f"{index}.png", "I;16", value=value)
    dataset = load_dataset(str(tmp_path))
    bright = dataset.train.inputs[dataset.train.labels == dataset.class_names.index("bright")]
    assert np.allclose(bright, (48_000 >> 8) / 255)


def test_sideways_photographs_are_turned_upright(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16), dtype=np.uint8)
    pixels[:8] = 255
    turned = Image.Exif()
    turned[0x0112] = 3  # EXIF orientation: rotated by 180 degrees
    for name in ("a", "b"):
        for index in range(3):
            path = tmp_path / name / f"{index}.jpg"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path, exif=turned)
    image = load_dataset(str(tmp_path)).train.inputs[0, ..., 0]
    assert image[:6].max() < 0.1
    assert image[10:].min() > 0.9


def test_unreadable_images_are_left_out_counted_and_named(tmp_path: Path) -> None:
    _folder(tmp_path, count=20)
    (tmp_path / "left" / "broken.png").write_bytes(b"no picture")
    whole = _save(tmp_path / "right" / "cut.png", size=(64, 64)).read_bytes()
    (tmp_path / "right" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "left" / "Thumbs.db").write_bytes(b"ignored")
    dataset = load_dataset(str(tmp_path))
    assert len(dataset.notes) == 1
    assert "2 of 42" in dataset.notes[0]
    assert "broken.png" in dataset.notes[0]
    assert "cut.png" in dataset.notes[0]


def test_too_many_unreadable_images_are_an_error(tmp_path: Path) -> None:
    _folder(tmp_path, count=6)
    for index in range(5):
        (tmp_path / "left" / f"broken{index}.jpg").write_bytes(b"no picture")
    with pytest.raises(WrongInputError, match=r"5 of 17 .* and 2 more\. Repair or remove"):
        load_dataset(str(tmp_path))


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(WrongInputError, match="one sub-folder of images for each class"):
        load_dataset(str(tmp_path))
    (tmp_path / "left").mkdir()
    with pytest.raises(WrongInputError, match="no images in its sub-folders"):
        load_dataset(str(tmp_path))


def test_only_damaged_images_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "a.png").write_bytes(b"no picture")
    with pytest.raises(WrongInputError, match="None of the 1 image files"):
        load_dataset(str(tmp_path))


def test_a_single_class_is_an_error(tmp_path: Path) -> None:
    for index in range(5):
        _save(tmp_path / "only" / f"{index}.png")
    with pytest.raises(WrongInputError, match=r"one class only \(only\)"):
        load_dataset(str(tmp_path))
