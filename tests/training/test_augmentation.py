import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from automcu.training.augmentation import draw_batch


def _images() -> Tensor:
    return torch.arange(1.0, 1 + 5 * 4 * 6 * 2).reshape(5, 4, 6, 2)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_augmentation_a_batch_is_the_images_asked_for() -> None:
    images, indices = _images(), torch.tensor([3, 0])
    batch = draw_batch(images, indices, 0, False, _generator())
    assert torch.equal(batch, images[indices].permute(0, 3, 1, 2))
    assert batch.is_contiguous(memory_format=torch.channels_last)


def _translated(image: Tensor, down: int, right: int) -> Tensor:
    """Move an image [channels, height, width], zeros coming in."""
    _, height, width = image.shape
    result = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                result[:, row, column] = image[:, row - down, column - right]
    return result


@given(shift=st.integers(0, 3), flip=st.booleans(), seed=st.integers(0, 1000))
def test_every_image_is_a_translation_of_itself_or_of_its_mirror_image(
    shift: int, flip: bool, seed: int
) -> None:
    images = _images()
    batch = draw_batch(images, torch.arange(5), shift, flip, _generator(seed))
    for source, moved in zip(images.permute(0, 3, 1, 2), batch, strict=True):
        candidates = [source, source.flip(-1)] if flip else [source]
        assert any(
            torch.equal(moved, _translated(candidate, down, right))
            for candidate in candidates
            for down in range(-shift, shift + 1)
            for right in range(-shift, shift + 1)
        )


def test_shifts_and_flips_vary_within_a_batch() -> None:
    images = _images()[:1].expand(40, -1, -1, -1)
    batch = draw_batch(images, torch.arange(40), 1, True, _generator())
    assert len(torch.unique(batch.flatten(1), dim=0)) > 10
