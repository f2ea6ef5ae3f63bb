"""Borders go into windows exactly where that changes nothing."""

import numpy as np
import pytest

from automcu.compiler import Graph, Operator, Quantisation, Tensor, run_reference
from automcu.compiler.graph import Attributes
from automcu.compiler.ops import AveragePool, Convolution, MaxPool, Pad
from automcu.compiler.passes import fuse_pads
from automcu.compiler.tensor import Window

BORDER = Pad((1, 0, 0), (2, 1, 0))
NEAR_ZERO = Quantisation(0.1, -128)
MIDDLE = Quantisation(0.1, 7)


def padded(pad: Pad, reader: Attributes, scale: Quantisation) -> Graph:
    inside, around = (5, 6, 2), pad.output_shape((5, 6, 2))
    tensors = (
        Tensor("image", inside, scale),
        Tensor("around", around, scale),
        Tensor("result", reader.output_shape(around), scale),
    )
    operators = (
        Operator("pad", ("image",), "around", pad),
        Operator("reader", ("around",), "result", reader),
    )
    return Graph({t.name: t for t in tensors}, operators, "image", "result")


def convolution(window: Window) -> Convolution:
    noise = np.random.default_rng(0)
    weights = noise.integers(-128, 128, (3, window.height, window.width, 2), dtype=np.int8)
    return Convolution(window, 3, 1, weights, np.full(3, 0.01), np.arange(3, dtype=np.int32))


FUSED = {
    "a convolution": (BORDER, convolution(Window(3, 3)), MIDDLE),
    "a padded convolution": (BORDER, convolution(Window(5, 4, (2, 1), (1, 1, 0, 1))), MIDDLE),
    "a dilated convolution": (
        Pad((2, 2, 0), (2, 2, 0)),
        convolution(Window(2, 2, dilation=(3, 3))),
        MIDDLE,
    ),
    "an average": (BORDER, AveragePool(Window(3, 3, (2, 2))), MIDDLE),
    "a maximum of what is not negative": (BORDER, MaxPool(Window(3, 3, (2, 2))), NEAR_ZERO),
}
KEPT = {
    "another value than zero": (Pad((1, 0, 0), (1, 0, 0), 0.5), convolution(Window(3, 3)), MIDDLE),
    "channels": (Pad((0, 0, 1), (0, 0, 1)), MaxPool(Window(3, 3)), NEAR_ZERO),
    "a maximum of negative values": (BORDER, MaxPool(Window(3, 3)), MIDDLE),
    "an average that does not count its own padding": (
        BORDER,
        AveragePool(Window(3, 3, padding=(1, 1, 1, 1))),
        MIDDLE,
    ),
    "a border as wide as the window": (
        Pad((3, 0, 0), (0, 0, 0)),
        convolution(Window(3, 3)),
        MIDDLE,
    ),
}


@pytest.mark.parametrize("name", FUSED)
def test_a_border_goes_into_the_window(name: str) -> None:
    graph = padded(*FUSED[name])
    fused = fuse_pads(graph)
    assert [op.name for op in fused.operators] == ["reader"]
    assert np.array_equal(run_reference(fused, inputs()), run_reference(graph, inputs()))


@pytest.mark.parametrize("name", KEPT)
def test_a_border_stays_where_the_window_could_not_stand_for_it(name: str) -> None:
    graph = padded(*KEPT[name])
    assert fuse_pads(graph) == graph


def test_a_border_that_another_layer_reads_stays_too() -> None:
    graph = padded(*FUSED["a convolution"])
    pool = MaxPool(Window(3, 3))
    around = graph.tensors["around"].shape
    second = Tensor("second", pool.output_shape(around), MIDDLE)
    graph = Graph(
        graph.tensors | {"second": second},
        (*graph.operators, Operator("pool", ("around",), "second", pool)),
        "image",
        "second",
    )
    fused = fuse_pads(graph)
    assert [op.inputs[0] for op in fused.operators] == ["image", "image", "around"]


def inputs() -> np.ndarray:
    return np.random.default_rng(1).integers(-128, 128, (3, 5, 6, 2), dtype=np.int8)
