"""Random shifts, turns, zooms and mirroring of a batch, as one affine resampling."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from automcu.training.records import Augmentation


def augmented(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Resample images [n, channels, height, width] bilinearly; outside of an image is zero."""
    if not augmentation.changes_anything:
        return images
    maps = _affine_maps(images.shape, augmentation, generator).to(images.device)
    grid = affine_grid(maps, list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False)


def _affine_maps(
    shape: torch.Size, augmentation: Augmentation, generator: torch.Generator
) -> Tensor:
    """Return [n, 2, 3]: from a pixel of the result to one of the source, both in units of -1 to 1.

    A turn is made in pixels: where images are not square, the off-diagonal terms carry the ratio.
    """
    count, _, height, width = shape

    def uniform(bound: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * bound

    angle = uniform(math.radians(augmentation.rotation_degrees))
    factor = torch.exp(uniform(math.log1p(augmentation.zoom)))
    right = uniform(augmentation.shift_pixels * 2 / width)
    down = uniform(augmentation.shift_pixels * 2 / height)
    mirror = torch.ones(count)
    if augmentation.flip:
        mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    cosine, sine = factor * angle.cos(), factor * angle.sin()
    first = torch.stack([mirror * cosine, -sine * height / width, right], dim=1)
    second = torch.stack([mirror * sine * width / height, cosine, down], dim=1)
    return torch.stack([first, second], dim=1)
