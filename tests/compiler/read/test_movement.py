"""Random chains of layers that only move values, against numpy, byte for byte."""

from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from automcu.compiler import compile_graph, import_onnx
from automcu.mcu import Device

MOST_VALUES = 600
ZERO_POINT = -7
Array = np.ndarray


class Chain:
    """Nodes, and what numpy makes of the same steps. Images are channels-first."""

    def __init__(self, draw: st.DrawFn, shape: tuple[int, ...]) -> None:
        self.draw = draw
        self.values = np.random.default_rng(0).integers(-128, 128, shape, dtype=np.int8)
        self.nodes = [helper.make_node("DequantizeLinear", ["input", "s", "z"], ["x0"])]
        self.constants: list[TensorProto] = []
        self.arrays = {"x0": self.values}

    @property
    def newest(self) -> str:
        return list(self.arrays)[-1]

    def constant(self, values: object, dtype: type = np.int64) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name

    def add(self, kind: str, inputs: list[str], result: Array, **settings: object) -> None:
        name = f"x{len(self.arrays)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **settings))
        self.arrays[name] = result

    def transpose(self) -> None:
        array = self.arrays[self.newest]
        order = self.draw(st.permutations(range(1, array.ndim)))
        order = [0, *order]
        self.add("Transpose", [self.newest], array.transpose(order), perm=order)

    def reshape(self) -> None:
        array = self.arrays[self.newest]
        sizes, rest = [1], array.size
        for _ in range(self.draw(st.integers(0, 3))):
            size = self.draw(st.sampled_from([n for n in range(1, rest + 1) if rest % n == 0]))
            sizes.append(size)
            rest //= size
        sizes.append(rest)
        self.add("Reshape", [self.newest, self.constant(sizes)], array.reshape(sizes))

    def slice(self) -> None:
        array = self.arrays[self.newest]
        axis = self.draw(st.integers(1, array.ndim - 1))
        size = array.shape[axis]
        first = self.draw(st.integers(0, size - 1))
        last = self.draw(st.integers(first + 1, size))
        step = self.draw(st.integers(1, 3))
        index = [slice(None)] * array.ndim
        index[axis] = slice(first, last, step)
        names = [self.constant([number]) for number in (first, last, axis, step)]
        self.add("Slice", [self.newest, *names], array[tuple(index)])

    def pad(self) -> None:
        array = self.arrays[self.newest]
        axes = self.draw(st.sets(st.integers(1, array.ndim - 1), min_size=1, max_size=2))
        before = [self.draw(st.integers(0, 2)) if a in axes else 0 for a in range(array.ndim)]
        after = [self.draw(st.integers(0, 2)) if a in axes else 0 for a in range(array.ndim)]
        widths = list(zip(before, after, strict=True))
        padded = np.pad(array, widths, constant_values=ZERO_POINT)
        self.add("Pad", [self.newest, self.constant([*before, *after])], padded)

    def join(self) -> None:
        newest = self.arrays[self.newest]
        axis = self.draw(st.integers(1, newest.ndim - 1))
        partners = [
            name
            for name, array in self.arrays.items()
            if array.ndim == newest.ndim
            and all(array.shape[a] == newest.shape[a] for a in range(newest.ndim) if a != axis)
        ]
        names = [self.newest, self.draw(st.sampled_from(partners))]
        result = np.concatenate([self.arrays[name] for name in names], axis)
        self.add("Concat", names, result, axis=axis)

    def tile(self) -> None:
        array = self.arrays[self.newest]
        times = [1, *(self.draw(st.integers(1, 2)) for _ in range(array.ndim - 1))]
        if prod(times) * array.size <= MOST_VALUES:
            result = np.tile(array, times)
            self.add("Tile", [self.newest, self.constant(times)], result)


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    rank = draw(st.integers(1, 3))
    chain = Chain(draw, (1, *(draw(st.integers(1, 5)) for _ in range(rank))))
    kinds = ("transpose", "reshape", "slice", "pad", "join", "tile")
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=6)):
        if chain.arrays[chain.newest].size <= MOST_VALUES:
            getattr(chain, kind)()
    # The order of a vector's values is the file's own, whatever was moved before.
    last = chain.arrays[chain.newest].reshape(1, -1)
    chain.add("Reshape", [chain.newest, chain.constant([1, -1])], last)
    chain.add("Relu", [chain.newest], np.maximum(last, ZERO_POINT))  # something is computed
    return chain


def write(chain: Chain, path: Path) -> None:
    result = chain.newest
    nodes = [*chain.nodes, helper.make_node("QuantizeLinear", [result, "s", "z"], ["output"])]
    known = [
        numpy_helper.from_array(np.float32(0.1), "s"),
        numpy_helper.from_array(np.int8(ZERO_POINT), "z"),
    ]
    graph = helper.make_graph(
        nodes,
        "moves",
        [helper.make_tensor_value_info("input", TensorProto.INT8, chain.values.shape)],
        [helper.make_tensor_value_info("output", TensorProto.INT8, chain.arrays[result].shape)],
        [*known, *chain.constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(model.SerializeToString())


def has_channels_last(chain: Chain) -> bool:
    """Whether the file begins as those do whose images are channels-last already."""
    name, shape = "x0", chain.values.shape
    first = next(node for node in chain.nodes if name in node.input)
    while first.op_type in ("Pad", "Relu"):
        name = first.output[0]
        first = next((node for node in chain.nodes if name in node.input), chain.nodes[0])
    if first.op_type == "Transpose":
        return list(first.attribute[0].ints) == [0, 3, 1, 2]
    return first.op_type == "Reshape" and shape[3] == 1 and shape[1] > 1


@settings(max_examples=400, deadline=None)
@given(chains())
def test_moved_values_are_those_that_numpy_moves(
    portable_device: Device, tmp_path_factory: pytest.TempPathFactory, chain: Chain
) -> None:
    path = tmp_path_factory.getbasetemp() / "moves.onnx"
    write(chain, path)
    program = compile_graph(import_onnx(path), portable_device)
    values = chain.values
    if values.ndim == 4 and not has_channels_last(chain):
        values = np.moveaxis(values, 1, -1)
    ours = program.run(values)
    assert np.array_equal(ours, chain.arrays[chain.newest])
