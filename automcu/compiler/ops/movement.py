"""Operators that only move bytes: concatenate, pad, rearrange.

Inputs and output share their quantisation.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.fixed_point import INT8_MAX, INT8_MIN
from automcu.compiler.graph import Attributes
from automcu.compiler.kernel import Kernel, LayerConstants, Parameters, copies, copy_code
from automcu.compiler.tensor import Quantisation, Shape, Tensor, Values

Axes = tuple[tuple[int, int], ...]

_OUT_OF_RANGE = 512.0  # any border of this many steps saturates, whatever the zero point

PAD_PARAMETERS = Parameters("pad_parameters", {"value": "int32_t"}, order=6)


@dataclass(frozen=True)
class Concatenate(Attributes):
    """Tensors one behind the other; `axis` is 0 for height, 1 for width, 2 for channels."""

    axis: int
    keeps_quantisation: ClassVar[bool] = True

    def title(self, source: Shape) -> str:
        return f"concatenate {('rows', 'columns', 'channels')[self.axis]}"

    def output_shape(self, *sources: Shape) -> Shape:
        sizes = list(sources[0])
        for shape in sources[1:]:
            if any(shape[axis] != sizes[axis] for axis in range(3) if axis != self.axis):
                raise ValueError(f"{shape} cannot be joined to {sources[0]} along {self.axis}")
            sizes[self.axis] += shape[self.axis]
        return sizes[0], sizes[1], sizes[2]

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> None:
        """Bytes are copied as they are."""

    def reference(self, inputs: tuple[Values, ...], integers: None) -> Values:
        return np.concatenate(inputs, axis=1 + self.axis)

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        """Rows made of one chunk from each input."""
        rows = prod(inputs[0].shape[: self.axis])
        chunks = tuple(prod(tensor.shape[self.axis :]) for tensor in inputs)
        return Kernel(
            cost_key="portable-concatenate",
            function=f"concatenate_{rows}_rows_of_{'_'.join(map(str, chunks))}",
            template=Path(__file__).with_name("concatenate.c.j2"),
            settings={"rows": rows, "chunks": chunks},
            work=Counter({"rows": rows}) + _sum(copies(rows, chunk) for chunk in chunks),
            code=Counter({"loops": int(rows > 1)}) + _sum(copy_code(chunk) for chunk in chunks),
        )


@dataclass(frozen=True)
class PadIntegers:
    """The border as an int8."""

    value: int


@dataclass(frozen=True)
class Pad(Attributes):
    """How many rows, columns and channels of the real `value` come before and after."""

    before: Shape
    after: Shape
    value: float = 0.0
    keeps_quantisation: ClassVar[bool] = True

    def title(self, source: Shape) -> str:
        return "pad"

    def output_shape(self, *sources: Shape) -> Shape:
        height, width, channels = (
            before + size + after
            for before, size, after in zip(self.before, sources[0], self.after, strict=True)
        )
        return height, width, channels

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> PadIntegers:
        steps = min(max(self.value / result.scale, -_OUT_OF_RANGE), _OUT_OF_RANGE)
        return PadIntegers(min(max(round(steps) + result.zero_point, INT8_MIN), INT8_MAX))

    def reference(self, inputs: tuple[Values, ...], integers: PadIntegers) -> Values:
        widths = ((0, 0), *zip(self.before, self.after, strict=True))
        return np.pad(inputs[0], widths, constant_values=integers.value)

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        source, result = inputs[0].shape, output.shape
        name = f"pad_{_by(source)}_to_{_by(result)}_at_{'_'.join(map(str, self.before))}"
        whole_rows = source[2] == result[2]
        times, run = (
            (source[0], source[1] * source[2]) if whole_rows else (source[0] * source[1], source[2])
        )
        return Kernel(
            cost_key="portable-pad",
            function=name,
            template=Path(__file__).with_name("pad.c.j2"),
            settings={
                "in_height": source[0],
                "in_width": source[1],
                "in_channels": source[2],
                "out_height": result[0],
                "out_width": result[1],
                "out_channels": result[2],
                "top": self.before[0],
                "left": self.before[1],
                "front": self.before[2],
            },
            parameters=PAD_PARAMETERS,
            pack=_pack_pad,
            work={"filled": prod(result), "rows": source[0]} | copies(times, run),
            code=copy_code(run),
        )


def _pack_pad(integers: PadIntegers) -> LayerConstants:
    return LayerConstants({}, PAD_PARAMETERS.constants_of(integers))


def _by(shape: Shape) -> str:
    return "x".join(map(str, shape))


@dataclass(frozen=True)
class Rearrange(Attributes):
    """Values in another order: transpose, slice, nearest-neighbour resize, broadcast, ...

    One idea covers them all: the output is written in order, and its values are read from the
    input at offset + sum(index x stride) for some axes of sizes and strides. A stride of 0 repeats,
    an offset skips, an axis of one size and stride 1 is a reshape that moves nothing.

    `axes` are (size, stride in bytes) of the reads, outermost first; they fill `shape`. `name` is
    what the model file calls it.
    """

    name: str
    shape: Shape
    axes: Axes
    offset: int = 0
    keeps_quantisation: ClassVar[bool] = True

    def moves_nothing(self, source: Shape) -> bool:
        """Whether the output is the input, byte for byte."""
        return self.axes == ((prod(source), 1),) and self.offset == 0

    @property
    def read_addresses(self) -> NDArray[np.int64]:
        """Where each output value is read, as offsets into the input: int64 [output size]."""
        addresses = np.array([self.offset], np.int64)
        for size, stride in self.axes:
            addresses = (addresses[:, None] + np.arange(size, dtype=np.int64) * stride).reshape(-1)
        return addresses

    def title(self, source: Shape) -> str:
        return self.name

    def output_shape(self, *sources: Shape) -> Shape:
        if prod(size for size, _ in self.axes) != prod(self.shape):
            raise ValueError(f"{self.axes} do not fill {self.shape}")
        first = self.offset + sum(min(0, (n - 1) * stride) for n, stride in self.axes)
        last = self.offset + sum(max(0, (n - 1) * stride) for n, stride in self.axes)
        if first < 0 or last >= prod(sources[0]):
            raise ValueError(f"reads from {first} to {last} of {prod(sources[0])} values")
        return self.shape

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> None:
        """Bytes are copied as they are."""

    def reference(self, inputs: tuple[Values, ...], integers: None) -> Values:
        flat = inputs[0].reshape(len(inputs[0]), -1)
        return flat[:, self.read_addresses].reshape(len(flat), *self.shape)

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        """Nested loops around a run of adjacent bytes."""
        in_place = self.moves_nothing(inputs[0].shape)
        loops, run = self.axes, 1
        if loops and loops[-1][1] == 1:
            loops, run = loops[:-1], loops[-1][0]
        axes = "_".join(f"{size}by{stride}".replace("-", "minus") for size, stride in self.axes)
        start = f"_from_{self.offset}" if self.offset else ""
        return Kernel(
            cost_key="portable-rearrange",
            function=f"rearrange_{axes or 'one'}{start}" + ("_in_place" if in_place else ""),
            template=Path(__file__).with_name("rearrange.c.j2"),
            settings={
                "title": self.name,
                "elements": prod(self.shape),
                "axes": self.axes,
                "offset": self.offset,
                "loops": loops,
                "run": run,
                "moves_nothing": in_place,
            },
            overwrites=(0,) if in_place else (),
            work={} if in_place else _rearranging([size for size, _ in loops], run),
            code={}
            if in_place
            else {"loops": sum(size > 1 for size, _ in loops)}
            | (copy_code(run) if run > 1 else {}),
        )


def _rearranging(loops: list[int], run: int) -> dict[str, int]:
    """Turns of the loops, and what the innermost moves: a byte, or a run of them."""
    turns, inner = prod(loops), loops[-1] if loops else 1
    if run == 1:
        return {"bytes": turns, "rows": turns // inner}
    return {"turns": turns, "rows": turns // inner} | copies(turns, run)


def _sum(parts: Iterable[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return total
