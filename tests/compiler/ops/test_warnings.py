"""Every operator's C compiles without a warning, and to the same bytes, with each compiler."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from automcu.compiler import Graph, Operator, Quantisation, Tensor, compile_graph
from automcu.compiler.graph import Attributes
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
from automcu.mcu import Device
from automcu.toolchains.compiler import HostCompiler, zig_command, zig_environment
from tests.compiler import compiled_model
from tests.compiler.compiled_model import CompiledModel

SCALE = Quantisation(0.1, -3)
NOISE = np.random.default_rng(0)
COMPILERS = {
    **{n: HostCompiler(command=(n,), environment={}) for n in ("gcc", "clang") if shutil.which(n)},
    "zig": HostCompiler(command=zig_command(), environment=zig_environment()),
}


def filled(window: Window, channels: int, groups: int, offsets: bool) -> Convolution:
    shape = (channels, window.height, window.width, channels // groups)
    return Convolution(
        window=window,
        out_channels=channels,
        groups=groups,
        weights=NOISE.integers(-128, 128, shape, dtype=np.int8),
        weight_scales=np.full(channels, 0.01),
        bias=np.arange(channels, dtype=np.int32),
        weight_offsets=np.arange(channels, dtype=np.int32) - 2 if offsets else None,
    )


def every_operator() -> Graph:
    """A chain of all operators in all their variants on an image of 6x6x4."""
    tensors = {"image": Tensor("image", (6, 6, 4), SCALE)}
    operators: list[Operator] = []

    def add(attributes: Attributes, *sources: str) -> str:
        name = f"layer{len(operators)}"
        shape = attributes.output_shape(*(tensors[source].shape for source in sources))
        tensors[name] = Tensor(name, shape, SCALE)
        operators.append(Operator(name, sources, name, attributes))
        return name

    same = Window(3, 3, padding=(1, 1, 1, 1))
    name = "image"
    for offsets in (False, True):
        for groups in (1, 2, 4):
            name = add(filled(same, 4, groups, offsets), name)
        name = add(filled(Window(1, 1), 4, 1, offsets), name)
    sums = add(Add(), name, add(filled(same, 4, 1, False), name))
    pooled = add(AveragePool(Window(6, 6)), sums)
    product = add(Multiply(), sums, pooled)
    largest = add(MaxPool(Window(3, 3, (1, 1), (1, 1, 1, 1))), product)
    channel = add(Rearrange("slice", (6, 6, 1), ((36, 4),), 2), largest)
    product = add(Multiply(), largest, channel)
    one = add(Rearrange("slice", (1, 1, 1), (), 7), product)
    product = add(Multiply(), product, one)
    product = add(Multiply((0.0, 6.0)), product, largest)
    table = add(Lookup("any", NOISE.integers(-128, 128, 256, dtype=np.int8)), product)
    wide = add(Concatenate(2), table, largest, product)
    tall = add(Concatenate(0), wide, wide)
    padded = add(Pad((1, 0, 0), (0, 2, 0), 1.0), add(Pad((0, 0, 1), (0, 0, 0)), tall))
    spread = add(AveragePool(Window(3, 3, (2, 2), (1, 1, 1, 1)), clamp=(0.0, 3.0)), padded)
    turned = add(Rearrange("flip", (7, 4, 13), ((7, -52), (4, 13), (13, 1)), 312), spread)
    result = add(Softmax(), add(Rescale((-1.0, 1.0)), turned))
    tensors[result] = Tensor(result, tensors[result].shape, Quantisation(1 / 256, -128))
    return Graph(tensors, tuple(operators), "image", operators[-1].output)


@pytest.mark.parametrize("name", COMPILERS)
def test_every_operator_compiles_without_a_warning_to_the_same_bytes(
    name: str, portable_device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_model, "host_compiler", lambda: COMPILERS[name])
    graph = every_operator()
    program = compile_graph(graph, portable_device)
    flags = ("-Werror", "-Wpedantic", "-O1")
    if name == "zig":
        flags += ("-fno-sanitize=undefined",)
    model = CompiledModel(program, tmp_path, flags)
    inputs = NOISE.integers(-128, 128, (4, 6, 6, 4), dtype=np.int8)
    assert np.array_equal(model.run(inputs), program.run(inputs))
    assert len(np.unique(program.run(inputs))) > 2
