"""Ternary weights: five to a byte in flash, and convolution with them in portable C.

A byte is the sum of (weight + 1) 3^i over five neighbouring inputs of a channel: 243 values. For
each pixel, and for each group of five values of its window, a kernel builds a table of all 243
signed sums; a byte of weights then adds what stands at its place in it: sums are looked up, not
computed. `PASS` groups at a time go through all channels: the bytes of a pass lie together, channel
by channel. Nothing is padded but a channel's last group, so that a weight takes 1.6 bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.kernel import (
    REQUANTISATION,
    ArrayShape,
    Field,
    Kernel,
    LayerConstants,
    Parameters,
    aligned,
)
from automcu.compiler.ops.convolution_kernel import (
    PADDING_VALUE,
    SUM,
    ConvolutionShape,
    convolution_shape,
)
from automcu.compiler.tensor import Tensor

if TYPE_CHECKING:
    from automcu.compiler.ops.convolution import Convolution, ConvolutionIntegers

WEIGHTS_PER_BYTE = 5
SUMS: int = 3**WEIGHTS_PER_BYTE
PASS = 4  # groups whose tables are in memory at a time
PIXELS = 4  # side by side in 16-bit lanes, in the kernels that have them
SECTION = 12  # passes; with a last, shorter one these are at most _MOST_GROUPS groups
_MOST_GROUPS = 51  # of five inputs of magnitude 128 that 16 bits can sum
_LANE_BYTES = 2
_TOTAL_BYTES = 4
_PLACES = 3 ** np.arange(WEIGHTS_PER_BYTE)
_BYTES_PER_CONSTANT = 4
_BYTES_PER_SHORT = 2
_BYTES_PER_SUM = 2

PARAMETERS = Parameters(
    "ternary_parameters",
    {
        "weights": Field(
            "const uint8_t *",
            "five to a byte: the first has the value of 3^0, and 0 stands for -1",
        ),
        "biases": "const int32_t *",
        "short_biases": Field(
            "const int16_t *", "in steps of 2^bias_shift, where channels share one scale"
        ),
        "bias_shift": "int32_t",
        "multipliers": Field("const int32_t *", "one a channel, or one for all"),
        "padding_value": PADDING_VALUE,
        "scaling": REQUANTISATION,
        "sum": SUM,
    },
    order=1,
)


def portable_ternary(
    attributes: "Convolution", inputs: tuple[Tensor, ...], output: Tensor
) -> Kernel:
    """The portable kernel of a convolution with ternary weights."""
    layer = ternary_layer(attributes, inputs, output)
    pixels, channels, groups = layer.shape.out_pixels, layer.channels, layer.groups
    accumulators = channels * 4
    tables = PASS * SUMS * _BYTES_PER_SUM
    return Kernel(
        variant="portable ternary",
        cost_key="portable-ternary",
        function=layer.function,
        template=Path(__file__).with_name("ternary.c.j2"),
        settings=layer.settings
        | {"tables_offset": accumulators, "patch_offset": accumulators + tables},
        parameters=PARAMETERS,
        arrays=layer.arrays,
        pack=pack_ternary_layer,
        scratch_bytes=accumulators + tables + (layer.depth if layer.gathers else 0),
        overwrites=(1,) if attributes.adds else (),
        weight_order=(layer.gathers,),
        work={
            "ternary/lookups": pixels * groups * channels,
            "ternary/tables": pixels * groups,
            "ternary/passes": pixels * -(-groups // PASS),
            "outputs": pixels * channels,
            "added": pixels * channels if attributes.adds else 0,
            "amplified": pixels * channels if layer.shape.amplifies else 0,
            **layer.gathering(pixels),
        },
        code={
            "gathers": int(layer.gathers),
            "added": int(attributes.adds),
            "amplified": int(layer.shape.amplifies),
        },
    )


@dataclass(frozen=True)
class TernaryLayer:
    """What kernels of ternary convolutions are made from; `groups` are bytes of a channel."""

    attributes: "Convolution"
    shape: ConvolutionShape
    depth: int
    groups: int

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.attributes.out_channels

    @property
    def gathers(self) -> bool:
        """Whether windows are copied before they are looked up."""
        return not self.shape.pointwise

    @property
    def settings(self) -> dict[str, object]:
        """The constants that the templates need."""
        return self.shape.settings | {
            "depth": self.depth,
            "weight_groups": self.groups,
            "whole_passes": self.groups // PASS,
            "last_groups": self.groups % PASS,
            "last_inputs": self.depth - (self.groups - 1) * WEIGHTS_PER_BYTE,
            "gathers": self.gathers,
            "residual": self.attributes.adds,
            "shared_scale": self.attributes.shared_scale,
            "pass_groups": PASS,
            "sums": SUMS,
        }

    @property
    def arrays(self) -> tuple[ArrayShape, ...]:
        """The stream of weights, a bias for each channel, and its multiplier or one for all.

        With one for all biases are in steps of a common power of two.
        """
        shared = self.attributes.shared_scale
        return (
            ArrayShape("weights", "uint8_t", aligned(self.channels * self.groups)),
            ArrayShape("short_biases", "int16_t", aligned(self.channels * _BYTES_PER_SHORT))
            if shared
            else ArrayShape("biases", "int32_t", self.channels * _BYTES_PER_CONSTANT),
            ArrayShape(
                "multipliers", "int32_t", (1 if shared else self.channels) * _BYTES_PER_CONSTANT
            ),
        )

    @property
    def function(self) -> str:
        """A name that tells the shape; equal shapes share one function."""
        k = self.shape
        name = (
            f"ternary_{k.kernel_height}x{k.kernel_width}_{k.in_height}x{k.in_width}"
            f"x{k.in_channels}_to_{k.out_height}x{k.out_width}x{k.out_channels}"
            f"_s{k.stride_y}x{k.stride_x}_p{k.pad_top}x{k.pad_left}"
            f"_d{k.dilation_y}x{k.dilation_x}"
        )
        name += "_shared" if self.attributes.shared_scale else ""
        return name + ("_add" if self.attributes.adds else "") + k.amplified_suffix

    def gathering(self, pixels: int) -> dict[str, int]:
        """The work of copying windows: bytes, and copies of neighbouring ones."""
        if not self.gathers:
            return {}
        taps = self.depth // self.shape.in_channels
        return {"ternary/gathered": pixels * self.depth, "ternary/taps": pixels * taps}


@dataclass(frozen=True)
class LanePlan:
    """How a kernel with `PIXELS` pixels in 16-bit lanes goes through a layer.

    The tables of a pass come first in scratch, then sums of 16 bits; sums that outgrow those are
    moved to totals of 32 bits after each `SECTION` passes (`wide`).
    """

    layer: TernaryLayer

    @property
    def whole_passes(self) -> int:
        """Passes of whole groups; one whose last weights are missing is not among them."""
        is_whole = self.layer.depth % WEIGHTS_PER_BYTE == 0
        return (self.layer.groups if is_whole else self.layer.groups - 1) // PASS

    @property
    def rest(self) -> int:
        """Groups of the last pass."""
        return self.layer.groups - self.whole_passes * PASS

    @property
    def unrolled(self) -> int:
        """Channels that the inner loop adds at a time."""
        return next(n for n in (4, 2, 1) if self.layer.channels % n == 0)

    @property
    def calls(self) -> list[tuple[int, int]]:
        """Groups and channels of the adding functions that are called."""
        whole = [(PASS, self.unrolled)] * bool(self.whole_passes)
        return whole + [(self.rest, self.unrolled)] * bool(self.rest)

    @property
    def wide(self) -> bool:
        """Whether sums outgrow 16 bits."""
        return self.layer.groups > _MOST_GROUPS

    @property
    def settings(self) -> dict[str, object]:
        """The constants that the templates need."""
        sums_offset = PASS * SUMS * PIXELS * _LANE_BYTES
        return self.layer.settings | {
            "wide": self.wide,
            "section": SECTION,
            "whole_passes": self.whole_passes,
            "rest": self.rest,
            "sums_offset": sums_offset,
            "totals_offset": sums_offset + PIXELS * _LANE_BYTES * self.layer.channels,
            "patch_offset": self._patch_offset,
        }

    @property
    def _patch_offset(self) -> int:
        total = _TOTAL_BYTES if self.wide else 0
        tables = PASS * SUMS * PIXELS * _LANE_BYTES
        return tables + PIXELS * (_LANE_BYTES + total) * self.layer.channels

    @property
    def scratch_bytes(self) -> int:
        """Tables, sums, totals and gathered windows."""
        return self._patch_offset + (PIXELS * self.layer.depth if self.layer.gathers else 0)

    def work(self, unit: str) -> dict[str, int]:
        """Units of work, for the latency model; `unit` names whose figures count for look-up."""
        layer, channels = self.layer, self.layer.channels
        blocks = -(-layer.shape.out_pixels // PIXELS)
        passes = blocks * -(-layer.groups // PASS)
        sections = self.whole_passes // SECTION + 1 if self.wide else 0
        outputs = blocks * PIXELS * channels
        return {
            f"{unit}/tables": blocks * layer.groups,
            f"{unit}/lookups": blocks * layer.groups * channels,
            f"{unit}/sums": passes * channels,
            f"{unit}/passes": passes,
            f"{unit}/moves": blocks * channels * sections,
            "outputs": outputs,
            "amplified": outputs if layer.shape.amplifies else 0,
            **layer.gathering(blocks * PIXELS),
        }


def ternary_layer(
    attributes: "Convolution", inputs: tuple[Tensor, ...], output: Tensor
) -> TernaryLayer:
    """The layer that kernels are made from."""
    if attributes.groups != 1:
        raise ValueError("ternary weights of grouped convolutions have no kernel")
    shape = convolution_shape(attributes, inputs, output)
    depth = shape.kernel_height * shape.kernel_width * shape.in_channels
    return TernaryLayer(attributes, shape, depth, groups_of(depth))


def pack_ternary_layer(integers: "ConvolutionIntegers") -> LayerConstants:
    """Weights as a stream, windows row by row."""
    multipliers = integers.scaling.multipliers
    values: dict[str, object] = {
        "padding_value": integers.padding_value,
        "scaling": integers.scaling,
    }
    biases: dict[str, NDArray[np.generic]] = {"biases": integers.bias}
    if integers.shares_scale:
        if (multipliers != multipliers[0]).any():
            raise ValueError("channels that share a scale have scales of their own")
        multipliers = multipliers[:1]
        biases = {"short_biases": (integers.bias >> integers.bias_shift).astype(np.int16)}
        values["bias_shift"] = integers.bias_shift
    if integers.residual is not None:
        values["sum"] = integers.residual
    stream = pack_ternary(integers.weights.reshape(len(integers.weights), -1))
    return LayerConstants(
        {"weights": stream, **biases, "multipliers": multipliers}, PARAMETERS.constants(values)
    )


def gray_code() -> Iterator[tuple[int, int, int]]:
    """All digits of three places, each one step from that before (a reflected Gray code)."""
    for third, second, first in product(range(3), repeat=3):
        turned = 2 - second if third % 2 else second
        yield (2 - first if (3 * third + second) % 2 else first), turned, third


def groups_of(depth: int) -> int:
    """Bytes that a channel's weights take."""
    return -(-depth // WEIGHTS_PER_BYTE)


def pack_ternary(weights: NDArray[np.int8]) -> NDArray[np.uint8]:
    """The stream for weights [channels, depth], each -1, 0 or 1.

    Raises:
        ValueError: a weight is none of them.
    """
    if np.abs(weights).max(initial=0) > 1:
        raise ValueError("ternary weights are -1, 0 or 1")
    channels, depth = weights.shape
    groups = groups_of(depth)
    padded = np.zeros((channels, groups * WEIGHTS_PER_BYTE), np.int64)
    padded[:, :depth] = weights
    digits = padded.reshape(channels, groups, WEIGHTS_PER_BYTE) + 1
    codes = (digits * _PLACES).sum(axis=2).astype(np.uint8)
    passes = [codes[:, first : first + PASS].reshape(-1) for first in range(0, groups, PASS)]
    return np.concatenate(passes)
