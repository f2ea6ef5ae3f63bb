"""Networks with random weights: for measuring what does not depend on what the weights are."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.fixed_point import INT8_MIN
from automcu.compiler.graph import Graph, Operator, Quantisation, Tensor
from automcu.compiler.ops import AddConstant, Convolution, LayerNorm, Lookup

_WEIGHT_SCALE = 1 / 128
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
    attributes = operator.attributes
    if isinstance(attributes, AddConstant | LayerNorm | Lookup):
        return replace(operator, attributes=_filled(attributes, graph, operator.output, generator))
    if not isinstance(attributes, Convolution):
        return operator
    in_channels = graph.tensors[operator.inputs[0]].shape[2]
    shape = (
        attributes.out_channels,
        attributes.window.height,
        attributes.window.width,
        in_channels // attributes.groups,
    )
    filled = replace(
        attributes,
        weights=_random_weights(shape, attributes, generator),
        weight_scales=np.full(shape[0], _WEIGHT_SCALE),
        bias=generator.integers(-1000, 1000, shape[0], dtype=np.int32),
        weight_offsets=None
        if attributes.weight_offsets is None
        else generator.integers(-64, 64, shape[0], dtype=np.int32),
    )
    return replace(operator, attributes=filled)


def _filled(
    attributes: AddConstant | LayerNorm | Lookup,
    graph: Graph,
    output: str,
    generator: np.random.Generator,
) -> AddConstant | LayerNorm | Lookup:
    """Constants of operators that are no products."""
    shape = graph.tensors[output].shape
    if isinstance(attributes, AddConstant):
        return AddConstant(generator.uniform(-64, 64, shape) * _ACTIVATION_SCALE)
    if isinstance(attributes, Lookup):
        return replace(attributes, table=generator.integers(-128, 128, 256, dtype=np.int8))
    gains = generator.choice([-1.0, 1.0], shape[2])
    return replace(attributes, gains=gains, offsets=generator.normal(0, 1, shape[2]))


def _random_weights(
    shape: tuple[int, ...], attributes: Convolution, generator: np.random.Generator
) -> NDArray[np.int8]:
    """Symmetric; those of narrow layers are multiples of a step."""
    if attributes.ternary:
        return generator.integers(-1, 2, shape, dtype=np.int8)
    most = 127 // attributes.weight_step
    steps = generator.integers(-most, most + 1, shape, dtype=np.int8)
    return np.asarray(steps * attributes.weight_step, np.int8)
