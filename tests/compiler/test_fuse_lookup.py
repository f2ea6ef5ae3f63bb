"""Functions of one tensor become one table, and nothing else does."""

import numpy as np

from automcu.compiler import Graph, Operator, Quantisation, Tensor, run_reference
from automcu.compiler.graph import Attributes
from automcu.compiler.ops import Add, Lookup, MaxPool, Multiply, Rescale
from automcu.compiler.ops.pointwise import ALL_INPUTS, table_of
from automcu.compiler.passes import fuse_lookups
from automcu.compiler.tensor import Window

SOURCE = Quantisation(0.05, 3)
GATE = Quantisation(1 / 256, -128)
RESULT = Quantisation(0.04, -100)
SIGMOID = Lookup("sigmoid", table_of(lambda x: 1 / (1 + np.exp(-x)), SOURCE, GATE))


def chain(*layers: tuple[str, tuple[str, ...], Attributes, Quantisation]) -> Graph:
    tensors = {"image": Tensor("image", (16, 16, 1), SOURCE)}
    tensors |= {name: Tensor(name, (16, 16, 1), scale) for name, _, _, scale in layers}
    operators = tuple(Operator(name, inputs, name, what) for name, inputs, what, _ in layers)
    return Graph(tensors, operators, "image", layers[-1][0])


def every_input() -> np.ndarray:
    return ALL_INPUTS.astype(np.int8).reshape(1, 16, 16, 1)


def test_a_swish_is_one_table() -> None:
    graph = chain(
        ("gate", ("image",), SIGMOID, GATE),
        ("swish", ("image", "gate"), Multiply(), RESULT),
    )
    fused = fuse_lookups(graph)
    (table,) = fused.operators
    assert isinstance(table.attributes, Lookup)
    assert table.attributes.name == "sigmoid + multiply"
    assert np.array_equal(run_reference(fused, every_input()), run_reference(graph, every_input()))


def test_a_chain_of_any_length_is_one_table() -> None:
    graph = chain(
        ("clamped", ("image",), Rescale((-1.0, 2.0)), SOURCE),
        ("gate", ("clamped",), SIGMOID, GATE),
        ("sum", ("clamped", "gate"), Add(sign=-1), RESULT),
        ("square", ("sum", "sum"), Multiply(), RESULT),
    )
    fused = fuse_lookups(graph)
    assert len(fused.operators) == 1
    assert np.array_equal(run_reference(fused, every_input()), run_reference(graph, every_input()))


def test_what_another_kind_of_layer_reads_stays() -> None:
    graph = chain(
        ("gate", ("image",), SIGMOID, GATE),
        ("swish", ("image", "gate"), Multiply(), RESULT),
        ("largest", ("gate",), MaxPool(Window(1, 1)), GATE),
        ("sum", ("swish", "largest"), Add(), RESULT),
    )
    assert fuse_lookups(graph) == graph


def test_sums_and_clamps_without_a_table_stay_what_they_are() -> None:
    graph = chain(
        ("double", ("image", "image"), Add(), SOURCE),
        ("clamped", ("double",), Rescale((0.0, 1.0)), RESULT),
    )
    assert fuse_lookups(graph) == graph


def test_a_network_without_weights_gets_a_table_without_values() -> None:
    graph = chain(
        ("gate", ("image",), Lookup("sigmoid", None), GATE),
        ("swish", ("image", "gate"), Multiply(), RESULT),
    )
    (table,) = fuse_lookups(graph).operators
    assert isinstance(table.attributes, Lookup)
    assert table.attributes.table is None
