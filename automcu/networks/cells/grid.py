"""The skeletons that are worth considering for a data set, from the lightest to the heaviest."""

from automcu.networks.cells.architecture import Skeleton

# Widths grow by about a quarter to a half, so that one step changes the cost by about two:
# finer steps would only give near copies.
STEM_CHANNELS = (4, 6, 8, 12, 16, 24, 32, 48, 64)
CELLS_PER_STAGE = (1, 2, 3, 5)
# NAS-Bench-201 ranks its cells at 32x32; far larger inputs are shrunk to this before planning.
LARGEST_RESOLUTION = 96
# Two reductions leave a quarter of the resolution, and below 2x2 a 3x3 convolution is wasted.
SMALLEST_RESOLUTION = 8
_RESOLUTION_STEPS = 3


def skeleton_grid(input_shape: tuple[int, int, int], classes: int) -> tuple[Skeleton, ...]:
    """Return the skeletons for inputs of this shape.

    Args:
        input_shape: height, width, channels of the data.
        classes: number of classes.
    """
    return tuple(
        Skeleton(
            stem_channels=width,
            cells_per_stage=depth,
            resolution=resolution,
            input_channels=input_shape[2],
            classes=classes,
        )
        for resolution in resolutions(input_shape[:2])
        for depth in CELLS_PER_STAGE
        for width in STEM_CHANNELS
    )


def resolutions(size: tuple[int, int]) -> tuple[int, ...]:
    """Return the data's own resolution and up to two halvings of it, the largest first."""
    resolution = min(max(size), LARGEST_RESOLUTION)
    found = [resolution]
    while len(found) < _RESOLUTION_STEPS and resolution // 2 >= SMALLEST_RESOLUTION:
        resolution //= 2
        found.append(resolution)
    return tuple(found)
