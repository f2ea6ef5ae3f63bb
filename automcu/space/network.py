"""A network of either family."""

from automcu.space.architecture import Architecture
from automcu.space.transformer_shape import TransformerShape

Network = Architecture | TransformerShape
"""A NAS-Bench-201 cell in a skeleton, or a vision transformer."""


def input_side(network: Network) -> int:
    """Return the pixels of a side of the images that it takes."""
    shape = network if isinstance(network, TransformerShape) else network.skeleton
    return shape.resolution


def input_channels(network: Network) -> int:
    """Return the channels of the images that it takes."""
    if isinstance(network, TransformerShape):
        return network.in_channels
    return network.skeleton.input_channels


def class_count(network: Network) -> int:
    """Return how many classes it tells apart."""
    shape = network if isinstance(network, TransformerShape) else network.skeleton
    return shape.classes
