"""Sums, products, clamps, changes of scale, and functions of one value."""

from collections.abc import Callable
from math import inf

import numpy as np

from automcu.compiler.ops.clamp import Clamp
from automcu.compiler.read.activation import Activation
from automcu.compiler.read.elementwise import (
    Affine,
    add_activations,
    apply_affine,
    apply_clamp,
    apply_function,
    multiply_activations,
)
from automcu.compiler.read.functions import (
    Reals,
    elu,
    gelu,
    hard_sigmoid,
    leaky_relu,
    sigmoid,
)
from automcu.compiler.read.tflite_operators.layer import (
    Reading,
    fused_clamp,
    operator,
    setting,
)
from automcu.compiler.read.tflite_operators.records import LayerRecord
from automcu.errors import UnsupportedModelError

_ONE = np.ones(1)
_ZERO = np.zeros(1)

# Each by its TFLite name: what people call it, and the real function of a layer.
_FUNCTIONS: dict[str, tuple[str, Callable[[LayerRecord, Reals], Reals]]] = {
    "ABS": ("abs", lambda layer, x: np.abs(x)),
    "ELU": ("elu", lambda layer, x: elu(x)),
    "EXP": ("exp", lambda layer, x: np.exp(x)),
    "GELU": ("gelu", lambda layer, x: gelu(x, bool(setting(layer, "Approximate")))),
    "HARD_SWISH": ("hard-swish", lambda layer, x: x * hard_sigmoid(x)),
    "LEAKY_RELU": ("leaky ReLU", lambda layer, x: leaky_relu(x, float(setting(layer, "Alpha")))),
    "LOG": ("log", lambda layer, x: np.log(x)),
    "LOGISTIC": ("sigmoid", lambda layer, x: sigmoid(x)),
    "NEG": ("negate", lambda layer, x: -x),
    "RSQRT": ("reciprocal root", lambda layer, x: 1 / np.sqrt(x)),
    "SQRT": ("square root", lambda layer, x: np.sqrt(x)),
    "SQUARE": ("square", lambda layer, x: x * x),
    "TANH": ("tanh", lambda layer, x: np.tanh(x)),
}
_CLAMPS: dict[str, Clamp] = {
    "RELU": (0.0, inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU_0_TO_1": (0.0, 1.0),
}


@operator(*_FUNCTIONS)
def _function(layer: LayerRecord, reading: Reading) -> None:
    name, function = _FUNCTIONS[layer.kind]
    source = reading.activation(layer)
    result = apply_function(reading.builder, layer.name, source, name, lambda x: function(layer, x))
    reading.bind(layer, result)


@operator(*_CLAMPS)
def _clamp(layer: LayerRecord, reading: Reading) -> None:
    source, clamp = reading.activation(layer), _CLAMPS[layer.kind]
    reading.bind(layer, apply_clamp(reading.builder, layer.name, source, clamp, "relu"))


@operator("PRELU")
def _parametric_relu(layer: LayerRecord, reading: Reading) -> None:
    slopes = reading.constant(layer, 1).real().reshape(-1)
    if np.any(slopes != slopes[0]):
        raise UnsupportedModelError(
            f"layer {layer.name} is a PReLU with a slope for each channel. "
            "Train with one slope for all (shared_axes), or with a leaky ReLU."
        )
    source = reading.activation(layer)
    slope = float(slopes[0])
    result = apply_function(
        reading.builder, layer.name, source, "leaky ReLU", lambda x: leaky_relu(x, slope)
    )
    reading.bind(layer, result)


@operator("MINIMUM", "MAXIMUM")
def _limit(layer: LayerRecord, reading: Reading) -> None:
    if not (reading.is_constant(layer, 0) or reading.is_constant(layer, 1)):
        raise UnsupportedModelError(
            f"layer {layer.name} is a {layer.kind} of two computed tensors; only a limit that is "
            "one number works. Use a ReLU, or join the tensors and take a maximum pool."
        )
    constant = 0 if reading.is_constant(layer, 0) else 1
    limits = reading.constant(layer, constant).real().reshape(-1)
    if np.any(limits != limits[0]):
        raise UnsupportedModelError(
            f"layer {layer.name} has several limits; only one number works. Use a ReLU."
        )
    limit = float(limits[0])
    clamp = (-inf, limit) if layer.kind == "MINIMUM" else (limit, inf)
    source = reading.activation(layer, 1 - constant)
    reading.bind(layer, apply_clamp(reading.builder, layer.name, source, clamp, "clip"))


@operator("QUANTIZE")
def _quantize(layer: LayerRecord, reading: Reading) -> None:
    reading.bind(layer, reading.activation(layer))


@operator("DEQUANTIZE")
def _dequantize(layer: LayerRecord, reading: Reading) -> None:
    if reading.is_constant(layer, 0):
        raise UnsupportedModelError(
            f"layer {layer.name} turns weights into floating point. Convert the model with full "
            "integer quantisation (TFLITE_BUILTINS_INT8, a representative dataset)."
        )
    reading.builder.bind(str(layer.outputs[0]), reading.activation(layer))


@operator("DIV")
def _division(layer: LayerRecord, reading: Reading) -> None:
    """x / c, or c / x of one number."""
    if reading.is_constant(layer, 1):
        divisors = reading.constant(layer, 1).real()
        if np.any(divisors == 0):
            raise ValueError("a division by zero")
        affine = Affine(1 / divisors, _ZERO)
        source, name = reading.activation(layer), layer.name
        scale, clamp = reading.result_quantisation(layer), fused_clamp(layer)
        result = apply_affine(reading.builder, name, source, affine, "divide", scale, clamp)
    elif reading.is_constant(layer, 0) and reading.constant(layer, 0).values.size == 1:
        number = float(reading.constant(layer, 0).real().reshape(()))
        source = reading.activation(layer, 1)
        result = apply_function(
            reading.builder, layer.name, source, "reciprocal", lambda x: number / x
        )
        result = apply_clamp(reading.builder, layer.name, result, fused_clamp(layer), "clip")
    else:
        raise UnsupportedModelError(
            f"layer {layer.name} is a DIV by a computed tensor, which cannot be compiled. "
            "Divide by a constant, or multiply."
        )
    reading.bind(layer, result)


@operator("ADD", "SUB", "MUL")
def _arithmetic(layer: LayerRecord, reading: Reading) -> None:
    constants = [reading.is_constant(layer, position) for position in (0, 1)]
    if any(constants):
        result = _with_constant(layer, reading, constants.index(True))
    else:
        result = _of_two(layer, reading)
    reading.bind(layer, result)


def _of_two(layer: LayerRecord, reading: Reading) -> Activation:
    builder, name = reading.builder, layer.name
    first, second = (reading.activation(layer, position) for position in (0, 1))
    quantisation, clamp = reading.result_quantisation(layer), fused_clamp(layer)
    if layer.kind == "MUL":
        return multiply_activations(builder, name, first, second, quantisation, clamp)
    sign = 1 if layer.kind == "ADD" else -1
    return add_activations(builder, name, first, second, sign, quantisation, clamp)


def _with_constant(layer: LayerRecord, reading: Reading, position: int) -> Activation:
    """x + c, x - c, c - x, x * c."""
    constant = reading.constant(layer, position).real()
    source = reading.activation(layer, 1 - position)
    if layer.kind == "MUL":
        affine = Affine(constant, _ZERO)
    elif layer.kind == "ADD":
        affine = Affine(_ONE, constant)
    else:
        affine = Affine(-_ONE, constant) if position == 0 else Affine(_ONE, -constant)
    return apply_affine(
        reading.builder,
        layer.name,
        source,
        affine,
        {"ADD": "add", "SUB": "subtract", "MUL": "multiply"}[layer.kind],
        reading.result_quantisation(layer),
        fused_clamp(layer),
    )
