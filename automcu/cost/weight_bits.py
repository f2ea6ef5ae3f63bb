"""What a network would cost with low-bit weights, before any weight is rounded."""

from dataclasses import replace

from automcu.compiler.graph import Graph
from automcu.compiler.low_bit_weights import WIDTHS, reducible_layers
from automcu.compiler.ops import Convolution


def with_weight_bits(graph: Graph, bits: int) -> Graph:
    """The graph whose layers have weights of `bits`, those that `--weights BITS` reduces.

    Layers that have fewer already keep theirs. The weights themselves stay as they are, or missing:
    the result is there to be costed, not to be run.
    """
    chosen = set(reducible_layers(graph)[1:-1])

    def reduced(attributes: Convolution) -> Convolution:
        return replace(attributes, weight_bits=min(bits, attributes.weight_bits))

    return replace(
        graph,
        operators=tuple(
            replace(operator, attributes=reduced(operator.attributes))
            if operator.name in chosen and isinstance(operator.attributes, Convolution)
            else operator
            for operator in graph.operators
        ),
    )


def widths_below(graph: Graph) -> tuple[int, ...]:
    """The widths that would reduce some layer of the graph, the widest first."""
    layers = set(reducible_layers(graph)[1:-1])
    widest = max(
        (
            operator.attributes.weight_bits
            for operator in graph.operators
            if operator.name in layers and isinstance(operator.attributes, Convolution)
        ),
        default=0,
    )
    return tuple(bits for bits in WIDTHS if bits < widest)
