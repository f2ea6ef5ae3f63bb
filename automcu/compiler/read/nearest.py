"""Nearest-neighbour resizing by whole factors, which is repeating or skipping."""

from automcu.compiler.read.activation import Activation
from automcu.compiler.read.builder import GraphBuilder
from automcu.compiler.read.movement import repeat, slice_axis
from automcu.errors import UnsupportedModelError


def by_whole_factor(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    axis: int,
    indices: list[int],
    remedy: str,
) -> Activation:
    """The values of an axis at these indices, in output order.

    `remedy` says with which settings of the file a whole factor repeats each value alike.

    Raises:
        UnsupportedModelError: the indices neither repeat each value alike nor skip alike.
    """
    size, count = source.view.shape[axis], len(indices)
    factor = count // size
    if factor and indices == [index // factor for index in range(size * factor)]:
        return repeat(layer, source, axis, factor) if factor > 1 else source
    step = indices[1] - indices[0] if count > 1 else 1
    if count % size == 0:
        raise UnsupportedModelError(
            f"layer {layer} resizes {size} to {count}, but repeats some values more often than "
            f"others. {remedy}"
        )
    if step < 1 or indices != [indices[0] + index * step for index in range(count)]:
        raise UnsupportedModelError(
            f"layer {layer} resizes {size} to {count}, which is not by a whole number. "
            "Resize by a whole factor."
        )
    return slice_axis(builder, layer, source, axis, indices[0], count, step)
