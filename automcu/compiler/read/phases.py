"""A batch of images that are the phases of one, as converters make them for a dilated convolution.

SpaceToBatch gives each phase of the dilation an image of its own, the batch is convolved, and
BatchToSpace puts the phases together again. Seen through a view, that is the dilated convolution
of the one image.
"""

from dataclasses import replace

from automcu.compiler.ops.windows import Window
from automcu.compiler.read.activation import Activation
from automcu.compiler.read.view import Parts, View, joined


def as_one_image(
    source: Activation, height: int | None, width: int | None
) -> tuple[Activation, tuple[int, int]]:
    """The image whose phases the batch (axis 0) holds, and the dilation; axes stay where they are.

    Raises:
        ValueError: the batch is something else.
    """
    sizes: dict[int, Parts] = {
        axis: joined(source.view.axes[axis]) for axis in (height, width) if axis is not None
    }
    dilation = dict.fromkeys(sizes, 1)
    for count, stride in joined(source.view.axes[0]):
        axis = next(
            (
                axis
                for axis, parts in sizes.items()
                if dilation[axis] == 1 and len(parts) == 1 and parts[0][1] == count * stride
            ),
            None,
        )
        if axis is None:
            raise ValueError(f"an input of shape {source.view.shape}; only one image works")
        sizes[axis] = ((sizes[axis][0][0] * count, stride),)
        dilation[axis] = count
    axes = list(source.view.axes)
    axes[0] = ((1, 0),)
    for axis, parts in sizes.items():
        axes[axis] = parts
    image = source.viewed(View(tuple(axes), source.view.offset), source.layer, source.step)
    steps = [1 if axis is None else dilation[axis] for axis in (height, width)]
    return image, (steps[0], steps[1])


def as_phases(
    image: Activation, height: int | None, width: int | None, dilation: tuple[int, int]
) -> Activation:
    """The image as the batch of its phases."""
    axes = list(image.view.axes)
    batch: Parts = ()
    for axis, count in zip((height, width), dilation, strict=True):
        if axis is not None and count > 1:
            ((size, stride),) = joined(axes[axis])
            axes[axis] = ((size // count, stride * count),)
            batch += ((count, stride),)
    axes[0] = batch
    return replace(image, view=View(tuple(axes), image.view.offset))


def dilated(window: Window, dilation: tuple[int, int]) -> Window:
    """The window over the image of the window over its phases.

    Raises:
        ValueError: the phases do not stay phases, because the window pads or strides.
    """
    if any(window.padding) or window.stride != (1, 1) or window.dilation != (1, 1):
        raise ValueError("a batch of images; only one image works")
    return replace(window, dilation=dilation)
