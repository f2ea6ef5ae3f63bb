import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from automcu.training.loop import augmented
from automcu.training.records import Augmentation


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _disc(height: int, width: int, row: float, column: float, radius: float) -> Tensor:
    """One image [1, 1, height, width] of a soft disc."""
    rows, columns = torch.meshgrid(
        torch.arange(float(height)), torch.arange(float(width)), indexing="ij"
    )
    distance = torch.hypot(rows - row, columns - column)
    return (radius + 0.5 - distance).clamp(0, 1)[None, None]


def _centre(images: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of each image's centre of mass."""
    weights = images.sum(dim=1)
    total = weights.sum(dim=(1, 2))
    rows = (weights.sum(dim=2) * torch.arange(weights.shape[1])).sum(dim=1) / total
    columns = (weights.sum(dim=1) * torch.arange(weights.shape[2])).sum(dim=1) / total
    return rows, columns


def test_without_bounds_images_are_not_touched() -> None:
    images = torch.rand(3, 2, 4, 6)
    assert augmented(images, Augmentation(), _generator()) is images


@settings(deadline=None, max_examples=40)
@given(
    shift=st.floats(0.1, 4),
    height=st.integers(17, 30),
    width=st.integers(17, 30),
    seed=st.integers(0, 1000),
)
def test_shifts_move_an_image_by_up_to_so_many_pixels(
    shift: float, height: int, width: int, seed: int
) -> None:
    row, column = (height - 1) / 2, (width - 1) / 2
    images = _disc(height, width, row, column, 3.0).expand(20, -1, -1, -1)
    moved = augmented(images, Augmentation(shift_pixels=shift), _generator(seed))
    rows, columns = _centre(moved)
    assert (rows - row).abs().max() <= shift + 1e-3
    assert (columns - column).abs().max() <= shift + 1e-3
    assert (rows - row).abs().max() > shift / 4
    assert torch.allclose(moved.sum(dim=(1, 2, 3)), images[0].sum(), rtol=0.01)


@pytest.mark.parametrize(("height", "width"), [(33, 33), (21, 45), (45, 21)])
def test_turns_keep_distances_even_where_images_are_not_square(height: int, width: int) -> None:
    row, column = (height - 1) / 2, (width - 1) / 2
    images = _disc(height, width, row, column + 6, 2.0).expand(50, -1, -1, -1)
    rows, columns = _centre(augmented(images, Augmentation(rotation_degrees=40), _generator()))
    angles = torch.atan2(rows - row, columns - column)
    assert torch.allclose(torch.hypot(rows - row, columns - column), torch.tensor(6.0), atol=0.05)
    assert angles.abs().max() <= math.radians(40) + 0.01
    assert angles.min() < -0.3 < 0.3 < angles.max()


def test_zooms_grow_and_shrink_areas_by_up_to_the_square_of_the_factor() -> None:
    image = _disc(41, 41, 20, 20, 8.0)
    images = image.expand(60, -1, -1, -1)
    areas = augmented(images, Augmentation(zoom=0.2), _generator()).sum(dim=(1, 2, 3)) / image.sum()
    assert areas.max() <= 1.2**2 * 1.02
    assert areas.min() >= 1.2**-2 * 0.98
    assert areas.max() > 1.2
    assert areas.min() < 1 / 1.2


def test_flips_mirror_about_half_of_the_images_exactly() -> None:
    images = torch.rand(1, 2, 5, 8).expand(200, -1, -1, -1)
    flipped = augmented(images, Augmentation(flip=True), _generator())
    same = (flipped - images).abs().amax(dim=(1, 2, 3)) < 1e-5
    mirrored = (flipped - images.flip(-1)).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert bool((same ^ mirrored).all())
    assert 60 < int(mirrored.sum()) < 140


def test_the_generator_decides_and_nothing_else() -> None:
    images = torch.rand(8, 1, 6, 6)
    everything = Augmentation(shift_pixels=1, rotation_degrees=10, zoom=0.1, flip=True)
    first, again, other = (augmented(images, everything, _generator(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
