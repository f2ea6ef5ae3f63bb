"""A network of either family."""

from automcu.compiler import compile_graph
from automcu.cost.estimation import estimate_program
from automcu.cost.records import Estimate
from automcu.mcu.profile import Device
from automcu.networks.cells.architecture import Architecture
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.transformers.graph import transformer_graph
from automcu.networks.transformers.shape import TransformerShape

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


def estimate(network: Network, device: Device) -> Estimate:
    """Cost of a network, from the compiler's own passes on its graph without weights.

    Vision transformers are costed with ternary weights, cells as their skeleton says.

    Raises:
        WrongInputError: the cell is not connected, or the device has no figures yet.
        UnsupportedModelError: a transformer has too many tokens or channels for integers.
    """
    if isinstance(network, Architecture):
        graph = architecture_graph(network)
    else:
        graph = transformer_graph(network)
    return estimate_program(compile_graph(graph, device), device)
