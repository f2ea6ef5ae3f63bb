"""Convolution with ternary weights in portable C: sums of five inputs are looked up, not computed.

For each pixel, and for each group of five values of its window, a table of the 243 signed sums is
built; a byte of weights then adds what stands at its place in it.
"""

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import ArrayShape, Kernel, LayerConstants, aligned
from automcu.compiler.lowering import Integers
from automcu.compiler.ops import Convolution
from automcu.compiler.ops.convolution import ConvolutionIntegers
from automcu.compiler.ops.portable_convolution import (
    amplified_suffix,
    convolution_settings,
)
from automcu.compiler.ops.ternary_packing import (
    PASS,
    SUMS,
    WEIGHTS_PER_BYTE,
    groups_of,
    pack_ternary,
)
from automcu.compiler.parameters import (
    add_fields,
    initialiser,
    requantisation_fields,
)

Settings = dict[str, int | str | bool]
_BYTES_PER_CONSTANT = 4
_BYTES_PER_SHORT = 2
_BYTES_PER_SUM = 2


def portable_ternary(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of a convolution with ternary weights."""
    settings = ternary_settings(operator, graph)
    depth, channels = int(settings["depth"]), int(settings["out_channels"])
    pixels, groups = int(settings["out_pixels"]), int(settings["weight_groups"])
    accumulators = channels * 4
    tables = PASS * SUMS * _BYTES_PER_SUM
    return Kernel(
        variant="portable ternary",
        function=ternary_function_name(settings),
        template="ternary.c.j2",
        settings=settings | {"tables_offset": accumulators, "patch_offset": accumulators + tables},
        parameters_type="ternary_parameters",
        arrays=ternary_arrays(operator, settings),
        pack=pack_ternary_layer,
        scratch_bytes=accumulators + tables + (depth if settings["gathers"] else 0),
        overwrites=(1,) if settings["residual"] else (),
        work={
            "ternary/lookups": pixels * groups * channels,
            "ternary/tables": pixels * groups,
            "ternary/passes": pixels * -(-groups // PASS),
            "outputs": pixels * channels,
            "added": pixels * channels if settings["residual"] else 0,
            "amplified": pixels * channels if settings["amplifies"] else 0,
            **gathering(settings, pixels),
        },
        code={
            "gathers": int(bool(settings["gathers"])),
            "added": int(bool(settings["residual"])),
            "amplified": int(bool(settings["amplifies"])),
        },
    )


def ternary_settings(operator: Operator, graph: Graph) -> Settings:
    """What the templates of ternary kernels are told."""
    attributes = _attributes(operator)
    settings = convolution_settings(operator, graph)
    window = attributes.window
    depth = window.height * window.width * int(settings["in_channels"])
    groups = groups_of(depth)
    return settings | {
        "depth": depth,
        "weight_groups": groups,
        "whole_passes": groups // PASS,
        "last_groups": groups % PASS,
        "last_inputs": depth - (groups - 1) * WEIGHTS_PER_BYTE,
        "gathers": not window.is_pointwise,
        "residual": attributes.sum_scale is not None,
        "shared_scale": attributes.shared_scale,
        "pass_groups": PASS,
        "sums": SUMS,
    }


def gathering(settings: Settings, pixels: int) -> dict[str, int]:
    """The work of copying windows: bytes, and copies of neighbouring ones."""
    if not settings["gathers"]:
        return {}
    depth, in_channels = int(settings["depth"]), int(settings["in_channels"])
    return {"ternary/gathered": pixels * depth, "ternary/taps": pixels * depth // in_channels}


def ternary_arrays(operator: Operator, settings: Settings) -> tuple[ArrayShape, ...]:
    """The stream of weights, a bias for each channel, and its multiplier or one for all.

    With one for all biases are in steps of a common power of two.
    """
    attributes = _attributes(operator)
    channels = attributes.out_channels
    multipliers = 1 if attributes.shared_scale else channels
    stream = channels * int(settings["weight_groups"])
    return (
        ArrayShape("weights", "uint8_t", aligned(stream)),
        ArrayShape("short_biases", "int16_t", aligned(channels * _BYTES_PER_SHORT))
        if attributes.shared_scale
        else ArrayShape("biases", "int32_t", channels * _BYTES_PER_CONSTANT),
        ArrayShape("multipliers", "int32_t", multipliers * _BYTES_PER_CONSTANT),
    )


def pack_ternary_layer(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    """Weights as a stream, windows row by row."""
    attributes = _attributes(operator)
    if not isinstance(integers, ConvolutionIntegers):
        raise TypeError(f"{operator.name} is not a convolution")
    multipliers = integers.scaling.multipliers
    biases: dict[str, NDArray[np.generic]] = {"biases": integers.bias}
    if attributes.shared_scale:
        if (multipliers != multipliers[0]).any():
            raise ValueError(f"the channels of {operator.name} have scales of their own")
        multipliers = multipliers[:1]
        biases = {"short_biases": (integers.bias >> integers.bias_shift).astype(np.int16)}
    fields = {
        "padding_value": str(integers.padding_value),
        "scaling": requantisation_fields(integers.scaling),
    }
    if attributes.shared_scale:
        fields["bias_shift"] = str(integers.bias_shift)
    if integers.residual is not None:
        fields["sum"] = initialiser(add_fields(integers.residual))
    return LayerConstants(
        {
            "weights": pack_ternary(integers.weights.reshape(len(integers.weights), -1)),
            **biases,
            "multipliers": multipliers,
        },
        fields,
    )


def ternary_function_name(settings: Settings) -> str:
    """A name that tells the shape; equal shapes share one function."""
    k = settings
    name = (
        f"ternary_{k['kernel_height']}x{k['kernel_width']}_{k['in_height']}x{k['in_width']}"
        f"x{k['in_channels']}_to_{k['out_height']}x{k['out_width']}x{k['out_channels']}"
        f"_s{k['stride_y']}x{k['stride_x']}_p{k['pad_top']}x{k['pad_left']}"
        f"_d{k['dilation_y']}x{k['dilation_x']}"
    )
    name += ("_shared" if k["shared_scale"] else "") + ("_add" if k["residual"] else "")
    return name + amplified_suffix(settings)


def _attributes(operator: Operator) -> Convolution:
    attributes = operator.attributes
    if not isinstance(attributes, Convolution) or attributes.groups != 1:
        raise TypeError(f"{operator.name} is not a convolution in one group")
    return attributes
