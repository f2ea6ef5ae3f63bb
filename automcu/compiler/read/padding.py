"""Padding that keeps the size of an image, as both file formats define it."""


def same_padding(
    lengths: list[int], kernel: list[int], strides: list[int], dilations: list[int], upper: bool
) -> list[int]:
    """Padding for ceil(length / stride) outputs; an odd one is at the end (`upper`) or start."""
    before, after = [], []
    for length, size, stride, dilation in zip(lengths, kernel, strides, dilations, strict=True):
        total = max((-(-length // stride) - 1) * stride + dilation * (size - 1) + 1 - length, 0)
        small, large = total // 2, total - total // 2
        before.append(small if upper else large)
        after.append(large if upper else small)
    return [*before, *after]
