"""A third implementation of the layers, in plain Python, from docs/integer-semantics.md alone.

It shares no line with the compiler's own: neither lowering nor fixed point nor reference.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import ceil, exp, floor, log2

import numpy as np

from automcu.compiler import Graph, Operator, Quantisation
from automcu.compiler.ops import (
    Add,
    AveragePool,
    Concatenate,
    Convolution,
    Lookup,
    MaxPool,
    Multiply,
    Pad,
    Rearrange,
    Rescale,
    Softmax,
)
from automcu.compiler.tensor import Window

Image = np.ndarray  # int8 [height, width, channels]
Limits = tuple[int, int]
Multipliers = tuple[int, list[int]]  # left shift and one multiplier for each ratio


def run_plainly(graph: Graph, image: Image) -> dict[str, Image]:
    """Every tensor of the graph for one input."""
    values = {graph.input: image}
    for operator in graph.operators:
        values[operator.output] = _computed(operator, graph, values)
    return values


def limits(clamp: tuple[float, float], scale: float, zero: int) -> Limits:
    low, high = clamp[0] / scale + zero, clamp[1] / scale + zero
    return (
        -128 if low <= -128 else min(round(low), 127),
        127 if high >= 127 else max(round(high), -128),
    )


def multipliers(ratios: list[float], bound: int) -> Multipliers:
    assert bound < 2**31
    shift = 0
    while max(ratios) * 2.0 ** (32 - shift) >= 2**31:
        shift += 1
    while max(bound, 1) * 2**shift >= 2**31:
        shift -= 1
    return shift, [min(round(ratio * 2.0 ** (32 - shift)), 2**31 - 1) for ratio in ratios]


def channel_multiplier(ratio: float) -> int:
    if ratio < 0.5:
        return min(round(ratio * 2.0**32), 2**31 - 1)
    return -min(round(ratio * 2.0**22), 2**31 - 1)


def requantise(accumulator: int, shift: int, multiplier: int, zero: int, allowed: Limits) -> int:
    if multiplier < 0:
        saturated = min(max(accumulator, -(2**21)), 2**21 - 1)
        return requantise(saturated * 2**10, shift, -multiplier, zero, allowed)
    shifted = accumulator * 2**shift
    assert -(2**31) <= shifted < 2**31
    value = floor(Fraction(shifted * multiplier + 2**31, 2**32)) + zero
    return min(max(value, allowed[0]), allowed[1])


def added(
    a: int,
    b: int,
    quantisations: tuple[Quantisation, Quantisation, Quantisation],
    sign: int,
    allowed: Limits,
) -> int:
    first, second, result = quantisations
    ratio_a, ratio_b = first.scale / result.scale, sign * second.scale / result.scale
    largest = max(abs(ratio_a), abs(ratio_b))
    most = 2**21 - 1
    if largest > most:
        ratio_a, ratio_b = ratio_a * (most / largest), ratio_b * (most / largest)
        largest = most
    shift = min(22, floor(log2((32767 if largest < 32 else 2**31 - 1) / largest)))
    times_a, times_b = round(ratio_a * 2**shift), round(ratio_b * 2**shift)
    constant = result.zero_point * 2**shift + 2 ** (shift - 1)
    constant -= first.zero_point * times_a + second.zero_point * times_b
    total = a * times_a + b * times_b + constant
    assert largest >= 32 or -(2**31) <= total < 2**31
    value = floor(Fraction(total, 2**shift))
    return min(max(value, allowed[0]), allowed[1])


def _computed(operator: Operator, graph: Graph, values: dict[str, Image]) -> Image:
    inputs = [values[name] for name in operator.inputs]
    scales = [graph.tensors[name].quantisation for name in (*operator.inputs, operator.output)]
    result = np.empty(graph.tensors[operator.output].shape, np.int8)
    match operator.attributes:
        case Convolution() as attributes:
            return _convolution(attributes, inputs, scales, result)
        case Add(clamp=clamp, sign=sign):
            allowed = limits(clamp, scales[2].scale, scales[2].zero_point)
            for place in np.ndindex(result.shape):
                pair = int(inputs[0][place]), int(inputs[1][place])
                result[place] = added(*pair, tuple(scales), sign, allowed)
        case AveragePool() as attributes:
            return _average(attributes, inputs[0], scales, result)
        case MaxPool(window=window):
            for row, column, channel in np.ndindex(result.shape):
                inside = [
                    inputs[0][y, x, channel]
                    for _, _, y, x in _inside(window, row, column, inputs[0])
                ]
                result[row, column, channel] = max(inside, default=-128)
        case Rescale(clamp=clamp):
            source, target = scales
            shift, (times,) = multipliers([source.scale / target.scale], 2**16)
            allowed = limits(clamp, target.scale, target.zero_point)
            for place in np.ndindex(result.shape):
                steps = int(inputs[0][place]) - source.zero_point
                result[place] = requantise(steps, shift, times, target.zero_point, allowed)
        case Multiply(clamp=clamp):
            first, second, target = scales
            ratio = first.scale * second.scale / target.scale
            shift, (times,) = multipliers([ratio], 255**2)
            allowed = limits(clamp, target.scale, target.zero_point)
            factors = np.broadcast_to(inputs[1], result.shape)
            for place in np.ndindex(result.shape):
                steps = int(inputs[0][place]) - first.zero_point
                steps *= int(factors[place]) - second.zero_point
                result[place] = requantise(steps, shift, times, target.zero_point, allowed)
        case Lookup(table=table):
            for place in np.ndindex(result.shape):
                result[place] = table[int(inputs[0][place]) + 128]
        case Softmax(beta=beta):
            return _softmax(beta, inputs[0], scales, result)
        case Pad(before=before, value=value):
            target = scales[1]
            steps = round(min(max(value / target.scale, -512), 512)) + target.zero_point
            result[:] = min(max(steps, -128), 127)
            ends = [first + size for first, size in zip(before, inputs[0].shape, strict=True)]
            result[tuple(slice(a, b) for a, b in zip(before, ends, strict=True))] = inputs[0]
        case Concatenate(axis=axis):
            return np.concatenate(inputs, axis)
        case Rearrange(axes=axes, offset=offset):
            flat = inputs[0].reshape(-1)
            indices = product(*(range(size) for size, _ in axes))
            strides = [stride for _, stride in axes]
            places = [
                offset + sum(i * s for i, s in zip(at, strides, strict=True)) for at in indices
            ]
            return flat[places].reshape(result.shape)
    return result


def _inside(
    window: Window, row: int, column: int, image: Image
) -> Iterator[tuple[int, int, int, int]]:
    """Taps of the window at an output pixel that lie in the image, and the pixels they read."""
    for u, v, y, x in _taps(window, row, column):
        if 0 <= y < image.shape[0] and 0 <= x < image.shape[1]:
            yield u, v, y, x


def _taps(window: Window, row: int, column: int) -> Iterator[tuple[int, int, int, int]]:
    for u, v in product(range(window.height), range(window.width)):
        y = row * window.stride[0] - window.padding[0] + u * window.dilation[0]
        x = column * window.stride[1] - window.padding[1] + v * window.dilation[1]
        yield u, v, y, x


def _average(
    attributes: AveragePool, image: Image, scales: list[Quantisation], result: Image
) -> Image:
    source, target = scales
    window = attributes.window
    largest = window.height * window.width
    allowed = limits(attributes.clamp, target.scale, target.zero_point)
    raw = attributes.raw_halves and not attributes.padding_counts
    if raw and source == target and largest <= 2048:
        for row, column, channel in np.ndindex(result.shape):
            inside = [
                int(image[y, x, channel]) for _, _, y, x in _inside(window, row, column, image)
            ]
            times_n = 2**30 // len(inside) + 1
            result[row, column, channel] = requantise(sum(inside), 2, times_n, 0, allowed)
        return result
    ratios = [0.0, *(source.scale / target.scale / n for n in range(1, largest + 1))]
    shift, times = multipliers(ratios, max(255 * largest, 2**16))
    for row, column, channel in np.ndindex(result.shape):
        inside = [image[y, x, channel] for _, _, y, x in _inside(window, row, column, image)]
        total = sum(int(value) - source.zero_point for value in inside)
        count = largest if attributes.padding_counts else len(inside)
        result[row, column, channel] = requantise(
            total, shift, times[count], target.zero_point, allowed
        )
    return result


def _convolution(
    attributes: Convolution, inputs: list[Image], scales: list[Quantisation], result: Image
) -> Image:
    source, target = scales[0], scales[-1]
    direct = target
    if attributes.sum_scale is not None:
        direct = Quantisation(attributes.sum_scale, attributes.sum_zero_point)
    weights = attributes.weights.astype(int)
    bias = [int(b) for b in attributes.bias]
    ratios = [source.scale * float(s) / direct.scale for s in attributes.weight_scales]
    taps = weights[0].size
    offsets = [0] * len(bias)
    if attributes.weight_offsets is not None:
        offsets = [int(o) for o in attributes.weight_offsets]
    for k, ratio in enumerate(ratios):
        size = int(abs(weights[k]).sum()) + abs(offsets[k]) * taps
        most = 256 * size + ceil(512 / max(ratio, 2.0**-40))
        bias[k] = min(max(bias[k], -most), most)
    if attributes.weight_offsets is None:
        step = 2 ** (8 - attributes.weight_bits)
        weights, bias, ratios = _fitted(weights, bias, ratios, step)
    sums = [int(w.sum()) + o * taps for w, o in zip(weights, offsets, strict=True)]
    bias = [b - source.zero_point * total for b, total in zip(bias, sums, strict=True)]
    bound = max(
        128 * (int(abs(w).sum()) + abs(o) * taps) + abs(b)
        for w, o, b in zip(weights, offsets, bias, strict=True)
    )
    assert bound < 2**31
    times = [channel_multiplier(ratio) for ratio in ratios]
    allowed = limits(attributes.clamp, direct.scale, direct.zero_point)
    per_group = weights.shape[3]
    for row, column, k in np.ndindex(result.shape):
        first = k * attributes.groups // attributes.out_channels * per_group
        total = bias[k]
        for u, v, y, x in _taps(attributes.window, row, column):
            inside = 0 <= y < inputs[0].shape[0] and 0 <= x < inputs[0].shape[1]
            for i in range(per_group):
                value = int(inputs[0][y, x, first + i]) if inside else source.zero_point
                total += value * (int(weights[k, u, v, i]) + offsets[k])
                assert -(2**31) <= total < 2**31
        value = requantise(total, 0, times[k], direct.zero_point, allowed)
        if attributes.sum_scale is not None:
            other = int(inputs[1][row, column, k])
            last = limits(attributes.sum_clamp, target.scale, target.zero_point)
            value = added(value, other, (direct, scales[1], target), 1, last)
        result[row, column, k] = value
    return result


def _fitted(
    weights: np.ndarray, bias: list[int], ratios: list[float], step: int
) -> tuple[np.ndarray, list[int], list[float]]:
    for k, kernel in enumerate(weights):
        if not kernel.any():
            bias[k] = 4 * min(max(round(bias[k] * ratios[k]), -512), 512)
            ratios[k] = 0.25
    for k, kernel in enumerate(weights):
        size = abs(bias[k]) + 256 * int(abs(kernel).sum())
        if size >= 2**31:
            divisor = 2.0 ** (ceil(log2(size)) - 30)
            weights[k] = step * np.rint(kernel / (divisor * step))
            bias[k], ratios[k] = round(bias[k] / divisor), ratios[k] * divisor
    return weights, bias, ratios


def _softmax(beta: float, image: Image, scales: list[Quantisation], result: Image) -> Image:
    source, target = scales
    shift, (times,) = multipliers([2.0**-22 / target.scale], 2**23)
    for row, column in np.ndindex(result.shape[:2]):
        pixel = [int(value) for value in image[row, column]]
        powers = [round(exp(-beta * source.scale * (max(pixel) - x)) * 2**22) for x in pixel]
        total, down = sum(powers), 0
        while total >> down >= 2**16:
            down += 1
        divisor = total >> down
        reciprocal = (2**31 + divisor // 2) // divisor
        for channel, power in enumerate(powers):
            share = (power * reciprocal) >> (down + 9)
            result[row, column, channel] = requantise(
                share, shift, times, target.zero_point, (-128, 127)
            )
    return result
