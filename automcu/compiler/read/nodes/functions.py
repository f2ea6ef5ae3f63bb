"""Real functions of one value, clamps among them.

A function becomes a table once its result is quantised; a clamp goes into what computes its input.
"""

from collections.abc import Callable
from dataclasses import replace
from math import erf, inf, sqrt

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.ops import Rescale
from automcu.compiler.ops.pointwise import real_inputs
from automcu.compiler.read.builder import Activation, GraphBuilder, RealFunction
from automcu.compiler.read.node import ImportContext, Node, reader
from automcu.compiler.tensor import NO_CLAMP, Clamp
from automcu.errors import UnsupportedModelError

Reals = NDArray[np.float64]


def _sigmoid(x: Reals) -> Reals:
    return np.asarray(1 / (1 + np.exp(-x)))


def _hard_sigmoid(x: Reals, slope: float = 1 / 6, offset: float = 0.5) -> Reals:
    """A line clamped to 0 .. 1."""
    return np.asarray(np.clip(slope * x + offset, 0, 1))


def _error_function(x: Reals) -> Reals:
    return np.array([erf(value) for value in x])


def _gelu(x: Reals, approximate: bool) -> Reals:
    """The Gaussian error linear unit, exact or by tanh (Hendrycks and Gimpel, 2016)."""
    if approximate:
        return np.asarray(x / 2 * (1 + np.tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3))))
    return np.asarray(x / 2 * (1 + _error_function(x / sqrt(2))))


def _elu(x: Reals, alpha: float = 1.0) -> Reals:
    """x where it is positive, alpha (exp(x) - 1) elsewhere."""
    return np.asarray(np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))))


def _leaky_relu(x: Reals, slope: float) -> Reals:
    """x where it is positive, slope x elsewhere."""
    return np.asarray(np.where(x < 0, slope * x, x))


# Each by its ONNX name, or TFLite's where ONNX has none: the function, given a node's attributes.
_FUNCTIONS: dict[str, Callable[[Node, Reals], Reals]] = {
    "Abs": lambda node, x: np.abs(x),
    "Ceil": lambda node, x: np.ceil(x.astype(np.float32)),
    "Celu": lambda node, x: _elu(x / node.number("alpha", 1)) * node.number("alpha", 1),
    "Elu": lambda node, x: _elu(x, node.number("alpha", 1.0)),
    "Erf": lambda node, x: _error_function(x),
    "Exp": lambda node, x: np.exp(x),
    "Floor": lambda node, x: np.floor(x.astype(np.float32)),  # as float32 rounds the product
    "Gelu": lambda node, x: _gelu(x, node.settings.get("approximate", b"none") == b"tanh"),
    "HardSigmoid": lambda node, x: _hard_sigmoid(
        x, node.number("alpha", 0.2), node.number("beta", 0.5)
    ),
    "HardSwish": lambda node, x: x * _hard_sigmoid(x),
    "LeakyRelu": lambda node, x: _leaky_relu(x, node.number("alpha", 0.01)),
    "Log": lambda node, x: np.log(x),
    "Mish": lambda node, x: x * np.tanh(np.logaddexp(0, x)),
    "Neg": lambda node, x: -x,
    "Reciprocal": lambda node, x: 1 / x,
    "Round": lambda node, x: np.rint(x.astype(np.float32)),
    "RSQRT": lambda node, x: 1 / np.sqrt(x),
    "Selu": lambda node, x: (
        node.number("gamma", 1.05070102) * _elu(x, node.number("alpha", 1.67326319))
    ),
    "Sigmoid": lambda node, x: _sigmoid(x),
    "Sign": lambda node, x: np.sign(x),
    "Softplus": lambda node, x: np.logaddexp(0, x),
    "Softsign": lambda node, x: x / (1 + np.abs(x)),
    "Sqrt": lambda node, x: np.sqrt(x),
    "SQUARE": lambda node, x: x * x,
    "Swish": lambda node, x: x * _sigmoid(node.number("alpha", 1.0) * x),
    "Tanh": lambda node, x: np.tanh(x),
    "ThresholdedRelu": lambda node, x: np.where(x > node.number("alpha", 1.0), x, 0),
}
FUNCTION_KINDS = frozenset(_FUNCTIONS)
# What a table is called, where that is not the file's name for the layer.
_TITLES = {
    "DIV": "divide",
    "HardSigmoid": "hard-sigmoid",
    "HardSwish": "hard-swish",
    "HARD_SWISH": "hard-swish",
    "LeakyRelu": "leaky ReLU",
    "LEAKY_RELU": "leaky ReLU",
    "LOGISTIC": "sigmoid",
    "MUL": "multiply",
    "NEG": "negate",
    "RSQRT": "reciprocal root",
    "SQRT": "square root",
    "SUB": "subtract",
}


def table_title(node: Node) -> str:
    """What people call the function that a node computes."""
    return _TITLES.get(node.title, node.title.lower())


@reader(*_FUNCTIONS)
def _function(node: Node, context: ImportContext) -> None:
    function, source = _FUNCTIONS[node.kind], context.activation(node)
    result = apply_function(
        context.builder, node.layer, source, table_title(node), lambda x: function(node, x)
    )
    context.set_output(node, result)


@reader("PRelu")
def _parametric_relu(node: Node, context: ImportContext) -> None:
    slopes = context.constant(node, 1).real().reshape(-1)
    if np.any(slopes != slopes[0]):
        raise UnsupportedModelError(
            f"layer {node.layer} is a PReLU with a slope for each channel. Train with one slope "
            "for all (num_parameters=1, in Keras shared_axes), or with a leaky ReLU."
        )
    slope, source = float(slopes[0]), context.activation(node)
    result = apply_function(
        context.builder, node.layer, source, "leaky ReLU", lambda x: _leaky_relu(x, slope)
    )
    context.set_output(node, result)


@reader("Pow")
def _power(node: Node, context: ImportContext) -> None:
    exponents = context.constant(node, 1).real().reshape(-1)
    if np.any(exponents != exponents[0]):
        raise UnsupportedModelError(
            f"layer {node.layer} has several exponents. Use one for all values."
        )
    source = context.activation(node)
    result = apply_function(
        context.builder, node.layer, source, "power", lambda x: np.power(x, exponents[0])
    )
    context.set_output(node, result)


@reader("Relu")
def _relu(node: Node, context: ImportContext) -> None:
    """ONNX's, or with limits of its own one of TFLite's."""
    clamp, source = (node.number("min", 0.0), node.number("max", inf)), context.activation(node)
    context.set_output(node, apply_clamp(context.builder, node.layer, source, clamp, "relu"))


@reader("Clip")
def _clip(node: Node, context: ImportContext) -> None:
    if context.is_constant(node, 0):
        _clip_constant(node, context)
        return
    low, high = context.limit(node, 1, "min"), context.limit(node, 2, "max")
    clamp = (-inf if low is None else low, inf if high is None else high)
    source = context.activation(node)
    context.set_output(node, apply_clamp(context.builder, node.layer, source, clamp, "clip"))


def _clip_constant(node: Node, context: ImportContext) -> None:
    """Weights that are quantised to fewer bits than their type has (Brevitas' QCDQ)."""
    constant = context.constant(node, 0)
    low, high = context.reals(node, 1, "min"), context.reals(node, 2, "max")
    values = constant.values
    if low is not None:
        values = np.maximum(values, low.astype(values.dtype))
    if high is not None:
        values = np.minimum(values, high.astype(values.dtype))
    context.set_constant(node, replace(constant, values=values))


@reader("Min", "Max")
def _limit(node: Node, context: ImportContext) -> None:
    computed = [i for i in range(len(node.inputs)) if not context.is_constant(node, i)]
    limits = [
        context.constant(node, position).real().reshape(-1)
        for position in range(len(node.inputs))
        if position not in computed
    ]
    if len(computed) != 1 or any(np.any(values != values[0]) for values in limits):
        raise UnsupportedModelError(
            f"layer {node.layer} compares tensors element by element ({node.title}); only a limit "
            "that is one number works. Use a clamp (Clip, ReLU6), or join the tensors and take "
            "their maximum over that axis."
        )
    numbers = [float(values[0]) for values in limits]
    least, most = min(numbers, default=inf), max(numbers, default=-inf)
    clamp = (-inf, least) if node.kind == "Min" else (most, inf)
    source = context.activation(node, computed[0])
    context.set_output(node, apply_clamp(context.builder, node.layer, source, clamp, "clip"))


def apply_function(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    name: str,
    function: Callable[[Reals], Reals],
) -> Activation:
    """A real function of every value; it becomes a table once its result is quantised."""
    before = real_values(builder, source, layer)
    with np.errstate(all="ignore"):
        values = np.asarray(function(before), np.float64)
    return replace(source, function=RealFunction(name, values))


def apply_clamp(
    builder: GraphBuilder, layer: str, source: Activation, clamp: Clamp, name: str
) -> Activation:
    """A clamp of every value; it goes into the operator before it where that is possible."""
    if not clamp[0] <= clamp[1]:
        raise ValueError(f"clamps to {clamp[0]} .. {clamp[1]}")
    if source.function is None and builder.tensors[source.tensor].quantisation is None:
        return replace(source, tensor=builder.add(layer, (source.tensor,), Rescale(clamp)))
    before = source.function or RealFunction(name, real_values(builder, source, layer), NO_CLAMP)
    return replace(source, function=before.clamped(clamp, name))


def real_values(builder: GraphBuilder, source: Activation, layer: str) -> Reals:
    """What the 256 values of the tensor stand for so far."""
    if source.function is not None:
        return source.function.values
    return real_inputs(builder.quantisation(source, layer))
