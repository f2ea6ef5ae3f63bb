"""The vision transformers that are worth considering for a data set, from light to heavy."""

from collections.abc import Iterator, Sequence
from itertools import product

from automcu.networks.transformers.shape import TransformerShape

DIMS = (32, 48, 64, 96, 128, 192)
DEPTHS = (1, 2, 3, 4, 6, 8, 12)
HEAD_WIDTHS = (16, 32)
MLP_RATIOS = (2, 4)
# Fewer patches say too little of where things are; attention over more of them outweighs the rest.
FEWEST_TOKENS = 9
MOST_TOKENS = 256
# DeiT has 16 channels a block of depth; far from that, a network is starved of one or the other.
_LEAST_CHANNELS_PER_BLOCK = 8
_MOST_CHANNELS_PER_BLOCK = 64
# A side that no patch divides well is rounded down to a multiple of this.
_SIDE_STEP = 4


def transformer_shapes(
    sides: Sequence[int], in_channels: int, classes: int
) -> tuple[TransformerShape, ...]:
    """Return the shapes for square images of these sides, the largest first.

    Shapes that differ in depth only stand side by side, by ascending depth. A side that does not
    divide into a sensible number of patches is rounded down to one that does.
    """
    return tuple(
        TransformerShape(
            resolution=side,
            in_channels=in_channels,
            classes=classes,
            patch=patch,
            dim=dim,
            depth=depth,
            heads=dim // width,
            mlp_ratio=ratio,
        )
        for side in dict.fromkeys(map(_divisible, sides))
        for patch in _patches(side)
        for dim, width, ratio in product(DIMS, HEAD_WIDTHS, MLP_RATIOS)
        if dim % width == 0
        for depth in _depths(dim)
    )


def _depths(dim: int) -> Iterator[int]:
    for depth in DEPTHS:
        if _LEAST_CHANNELS_PER_BLOCK <= dim / depth <= _MOST_CHANNELS_PER_BLOCK:
            yield depth


def _divisible(side: int) -> int:
    return side if _patches(side) or side < _SIDE_STEP else side - side % _SIDE_STEP


def _patches(side: int) -> list[int]:
    """Sides of patches, the largest first: few tokens are cheaper than many."""
    return [
        patch
        for patch in range(side, 0, -1)
        if side % patch == 0 and FEWEST_TOKENS <= (side // patch) ** 2 <= MOST_TOKENS
    ]
