"""Networks with random weights, and kernels by lot.

For measuring what does not depend on what the weights are; choices that do not go by figures, so
that all kernels get figures.
"""

import random
from dataclasses import replace

import numpy as np

from automcu.compiler.choose import Choose, candidates
from automcu.compiler.fixed_point import INT8_MIN
from automcu.compiler.graph import Graph, Operator, Quantisation, Tensor
from automcu.compiler.kernel import Kernel
from automcu.mcu.profile import Device

_ACTIVATION_SCALE = 1 / 16


def with_random_weights(graph: Graph, seed: int) -> Graph:
    """Fill in int8 weights, biases and plausible scales; shapes stay as they are."""
    generator = np.random.default_rng(seed)
    tensors = {
        name: replace(tensor, quantisation=_random_quantisation(tensor, generator))
        for name, tensor in graph.tensors.items()
    }
    operators = tuple(_fill(operator, graph, generator) for operator in graph.operators)
    return replace(graph, tensors=tensors, operators=operators)


def _random_quantisation(tensor: Tensor, generator: np.random.Generator) -> Quantisation | None:
    """Zero points at the end of the range stay: they are those of rectified tensors.

    What is not quantised stays so too: it is fused into what is.
    """
    given = tensor.quantisation
    if given is None:
        return None
    if given.zero_point == INT8_MIN:
        return Quantisation(_ACTIVATION_SCALE, INT8_MIN)
    return Quantisation(_ACTIVATION_SCALE, int(generator.integers(-100, 100)))


def _fill(operator: Operator, graph: Graph, generator: np.random.Generator) -> Operator:
    source, result = graph.tensors[operator.inputs[0]], graph.tensors[operator.output]
    filled = operator.attributes.with_random_weights(
        source.shape, result.shape, _ACTIVATION_SCALE, generator
    )
    return replace(operator, attributes=filled)


_LAST_RESORT = 0.3  # portable kernels beside special ones are slow, and networks have others


def varied_choice(seed: int) -> Choose:
    """A choice by lot among the kernels that can carry out an operator; equal seeds, equal lots."""

    def choose(operator: Operator, graph: Graph, device: Device) -> Kernel:
        def draw(operator: Operator, graph: Graph) -> Kernel:
            *special, portable = candidates(operator, graph, device)
            weights = [1.0] * len(special) + [_LAST_RESORT]
            lots = random.Random(f"{seed} {operator.name}")
            return lots.choices([*special, portable], weights)[0]

        return operator.attributes.chosen_kernel(operator, graph, draw)

    return choose
