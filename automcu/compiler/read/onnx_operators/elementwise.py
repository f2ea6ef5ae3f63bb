"""Sums, products, clamps, and functions of one value."""

from collections.abc import Callable
from dataclasses import replace
from math import inf

import numpy as np

from automcu.compiler.read.activation import Activation
from automcu.compiler.read.constant import Constant
from automcu.compiler.read.elementwise import (
    Affine,
    add_activations,
    apply_affine,
    apply_clamp,
    apply_function,
    divide_activations,
    multiply_activations,
)
from automcu.compiler.read.functions import (
    Reals,
    elu,
    error_function,
    gelu,
    hard_sigmoid,
    leaky_relu,
    sigmoid,
)
from automcu.compiler.read.onnx_operators.node import Node, Reading, operator
from automcu.errors import UnsupportedModelError

_ONE = np.ones(1)
_ZERO = np.zeros(1)


def _setting(node: Node, name: str, usual: float) -> float:
    return float(node.settings.get(name, usual))


# Each by its ONNX name: the real function of a node, given its attributes.
_FUNCTIONS: dict[str, Callable[[Node, Reals], Reals]] = {
    "Abs": lambda node, x: np.abs(x),
    "Ceil": lambda node, x: np.ceil(x.astype(np.float32)),
    "Celu": lambda node, x: elu(x / _setting(node, "alpha", 1)) * _setting(node, "alpha", 1),
    "Elu": lambda node, x: elu(x, _setting(node, "alpha", 1.0)),
    "Erf": lambda node, x: error_function(x),
    "Exp": lambda node, x: np.exp(x),
    "Floor": lambda node, x: np.floor(x.astype(np.float32)),  # as float32 rounds the product
    "Gelu": lambda node, x: gelu(x, node.settings.get("approximate", b"none") == b"tanh"),
    "HardSigmoid": lambda node, x: hard_sigmoid(
        x, _setting(node, "alpha", 0.2), _setting(node, "beta", 0.5)
    ),
    "HardSwish": lambda node, x: x * hard_sigmoid(x),
    "LeakyRelu": lambda node, x: leaky_relu(x, _setting(node, "alpha", 0.01)),
    "Log": lambda node, x: np.log(x),
    "Mish": lambda node, x: x * np.tanh(np.logaddexp(0, x)),
    "Neg": lambda node, x: -x,
    "Reciprocal": lambda node, x: 1 / x,
    "Round": lambda node, x: np.rint(x.astype(np.float32)),
    "Selu": lambda node, x: (
        _setting(node, "gamma", 1.05070102) * elu(x, _setting(node, "alpha", 1.67326319))
    ),
    "Sigmoid": lambda node, x: sigmoid(x),
    "Sign": lambda node, x: np.sign(x),
    "Softplus": lambda node, x: np.logaddexp(0, x),
    "Softsign": lambda node, x: x / (1 + np.abs(x)),
    "Sqrt": lambda node, x: np.sqrt(x),
    "Swish": lambda node, x: x * sigmoid(_setting(node, "alpha", 1.0) * x),
    "Tanh": lambda node, x: np.tanh(x),
    "ThresholdedRelu": lambda node, x: np.where(x > _setting(node, "alpha", 1.0), x, 0),
}
FUNCTION_KINDS = frozenset(_FUNCTIONS)
_TITLES = {"HardSwish": "hard-swish", "HardSigmoid": "hard-sigmoid", "LeakyRelu": "leaky ReLU"}


@operator(*_FUNCTIONS)
def _function(node: Node, reading: Reading) -> None:
    function = _FUNCTIONS[node.kind]
    name = _TITLES.get(node.kind, node.kind.lower())
    source = reading.activation(node)
    reading.bind(
        node,
        apply_function(reading.builder, node.layer, source, name, lambda x: function(node, x)),
    )


@operator("Relu")
def _relu(node: Node, reading: Reading) -> None:
    source = reading.activation(node)
    reading.bind(node, apply_clamp(reading.builder, node.layer, source, (0.0, inf), "relu"))


@operator("Clip")
def _clip(node: Node, reading: Reading) -> None:
    if reading.is_constant(node, 0):
        _clip_constant(node, reading)
        return
    low, high = reading.limit(node, 1, "min"), reading.limit(node, 2, "max")
    clamp = (-inf if low is None else low, inf if high is None else high)
    source = reading.activation(node)
    reading.bind(node, apply_clamp(reading.builder, node.layer, source, clamp, "clip"))


def _clip_constant(node: Node, reading: Reading) -> None:
    """Weights that are quantised to fewer bits than their type has (Brevitas' QCDQ)."""
    constant = reading.constant(node, 0)
    low, high = reading.reals(node, 1, "min"), reading.reals(node, 2, "max")
    values = constant.values
    if low is not None:
        values = np.maximum(values, low.astype(values.dtype))
    if high is not None:
        values = np.minimum(values, high.astype(values.dtype))
    reading.builder.constants[node.outputs[0]] = replace(constant, values=values)


@operator("Min", "Max")
def _limit(node: Node, reading: Reading) -> None:
    positions = [index for index in range(len(node.inputs)) if reading.is_constant(node, index)]
    values = [reading.constant(node, index).real() for index in positions]
    if len(positions) != len(node.inputs) - 1 or any(value.size != 1 for value in values):
        raise UnsupportedModelError(
            f"layer {node.layer} compares tensors element by element ({node.kind}); only a limit "
            "that is one number works. Use a Clip, or join the tensors and take a ReduceMax."
        )
    clamp = (-inf, inf)
    for value in values:
        limit = float(value.reshape(()))
        clamp = (
            (clamp[0], min(clamp[1], limit))
            if node.kind == "Min"
            else (
                max(clamp[0], limit),
                clamp[1],
            )
        )
    (computed,) = set(range(len(node.inputs))) - set(positions)
    source = reading.activation(node, computed)
    reading.bind(node, apply_clamp(reading.builder, node.layer, source, clamp, "clip"))


@operator("PRelu")
def _parametric_relu(node: Node, reading: Reading) -> None:
    slopes = reading.constant(node, 1).real().reshape(-1)
    if np.any(slopes != slopes[0]):
        raise UnsupportedModelError(
            f"layer {node.layer} is a PReLU with a slope for each channel. "
            "Train with one slope for all (num_parameters=1), or with a leaky ReLU."
        )
    source = reading.activation(node)
    reading.bind(
        node,
        apply_function(
            reading.builder,
            node.layer,
            source,
            "leaky ReLU",
            lambda x: leaky_relu(x, float(slopes[0])),
        ),
    )


@operator("Pow")
def _power(node: Node, reading: Reading) -> None:
    exponents = reading.constant(node, 1).real().reshape(-1)
    if np.any(exponents != exponents[0]):
        raise UnsupportedModelError(
            f"layer {node.layer} has several exponents. Use one for all values."
        )
    source = reading.activation(node)
    reading.bind(
        node,
        apply_function(
            reading.builder, node.layer, source, "power", lambda x: np.power(x, exponents[0])
        ),
    )


@operator("BatchNormalization")
def _batch_normalisation(node: Node, reading: Reading) -> None:
    scale, offset, mean, variance = (reading.constant(node, i).real() for i in range(1, 5))
    gain = scale / np.sqrt(variance + _setting(node, "epsilon", 1e-5))
    source = reading.activation(node)
    shape = (-1, *([1] * (len(source.view.shape) - 2)))
    affine = Affine(gain.reshape(shape), (offset - mean * gain).reshape(shape))
    reading.bind(node, apply_affine(reading.builder, node.layer, source, affine, "normalise"))


@operator("Add", "Sub", "Mul", "Div")
def _arithmetic(node: Node, reading: Reading) -> None:
    builder, layer = reading.builder, node.layer
    first, second = (reading.is_constant(node, position) for position in (0, 1))
    if first and second:
        _fold(node, reading)
        return
    if second:
        constant = reading.constant(node, 1).real()
        affine = _with_second(node.kind, constant)
        result = apply_affine(builder, layer, reading.activation(node), affine, node.kind.lower())
    elif first:
        result = _with_first(node, reading)
    elif node.kind == "Mul":
        result = multiply_activations(
            builder, layer, reading.activation(node), reading.activation(node, 1)
        )
    elif node.kind == "Div":
        result = divide_activations(
            builder, layer, reading.activation(node), reading.activation(node, 1)
        )
    else:
        sign = 1 if node.kind == "Add" else -1
        result = add_activations(
            builder, layer, reading.activation(node), reading.activation(node, 1), sign
        )
    reading.bind(node, result)


def _fold(node: Node, reading: Reading) -> None:
    """Arithmetic on constants: sizes for a reshape or resize, mostly."""
    first, second = (reading.constant(node, position) for position in (0, 1))
    a, b = first.real(), second.real()
    with np.errstate(all="ignore"):
        result = {"Add": a + b, "Sub": a - b, "Mul": a * b, "Div": a / b}[node.kind]
    if first.scales is None and first.values.dtype.kind in "iu":
        result = np.trunc(np.nan_to_num(result)).astype(np.int64)
    reading.builder.constants[node.outputs[0]] = Constant(result)


def _with_second(kind: str, constant: Reals) -> Affine:
    """x + c, x - c, x * c, x / c."""
    if kind in ("Add", "Sub"):
        return Affine(_ONE, constant if kind == "Add" else -constant)
    if kind == "Div" and np.any(constant == 0):
        raise ValueError("a division by zero")
    return Affine(constant if kind == "Mul" else 1 / constant, _ZERO)


def _with_first(node: Node, reading: Reading) -> Activation:
    """c + x, c - x, c * x, c / x."""
    constant = reading.constant(node, 0).real()
    source = reading.activation(node, 1)
    if node.kind == "Div":
        if constant.size != 1:
            raise UnsupportedModelError(
                f"layer {node.layer} divides several constants by a tensor. Use a single one."
            )
        number = float(constant.reshape(()))
        return apply_function(
            reading.builder, node.layer, source, "reciprocal", lambda x: number / x
        )
    gain = {"Add": _ONE, "Sub": -_ONE, "Mul": constant}[node.kind]
    offset = _ZERO if node.kind == "Mul" else constant
    affine = Affine(gain, offset)
    return apply_affine(reading.builder, node.layer, source, affine, node.kind.lower())
