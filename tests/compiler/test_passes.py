"""Rewrites of the graph: none changes a byte of any result, and each does what it is for."""

from collections.abc import Callable
from math import inf

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from automcu.compiler import Graph, Operator, Quantisation, Tensor, run_reference
from automcu.compiler.graph import Attributes
from automcu.compiler.ops import Add, Convolution, Rescale
from automcu.compiler.passes import PASSES, fuse_clamps, fuse_sums, optimise, remove_dead_operators
from automcu.compiler.tensor import Window
from tests.compiler.random_graphs import graphs

SCALE = Quantisation(1.0, 0)
OTHER = Quantisation(0.5, -10)
RELU = Rescale((0.0, inf))
SAME = Convolution(
    Window(1, 1), 2, 1, np.ones((2, 1, 1, 2), np.int8), np.ones(2), np.zeros(2, np.int32)
)


@pytest.mark.parametrize("rewrite", [*PASSES, optimise])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(all_quantised=True))
def test_no_pass_changes_a_byte(graph: Graph, rewrite: Callable[[Graph], Graph]) -> None:
    shape = graph.tensors[graph.input].shape
    inputs = np.random.default_rng(0).integers(-128, 128, (2, *shape), dtype=np.int8)
    assert np.array_equal(run_reference(rewrite(graph), inputs), run_reference(graph, inputs))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs())
def test_passes_leave_nothing_for_a_second_round(graph: Graph) -> None:
    once = optimise(graph)
    twice = optimise(once)
    assert [op.name for op in twice.operators] == [op.name for op in once.operators]


def chain(*layers: tuple[str, tuple[str, ...], Attributes], **scales: Quantisation | None) -> Graph:
    """A graph of layers, each named after its result, on tensors of one shape."""
    names = ("image", *(name for name, _, _ in layers))
    tensors = {name: Tensor(name, (1, 2, 2), scales.get(name, SCALE)) for name in names}
    operators = tuple(Operator(name, inputs, name, what) for name, inputs, what in layers)
    return Graph(tensors, operators, "image", names[-1])


def kinds(graph: Graph) -> list[str]:
    return [type(operator.attributes).__name__ for operator in graph.operators]


def test_operators_that_nothing_reads_are_removed() -> None:
    graph = chain(("unread", ("image",), SAME), ("result", ("image",), RELU))
    assert [op.name for op in remove_dead_operators(graph).operators] == ["result"]
    assert set(remove_dead_operators(graph).tensors) == {"image", "result"}


def test_a_relu_behind_a_convolution_costs_no_layer() -> None:
    graph = chain(("conv", ("image",), SAME), ("relu", ("conv",), RELU), conv=None)
    (fused,) = fuse_clamps(graph).operators
    assert isinstance(fused.attributes, Convolution)
    assert fused.attributes.clamp == (0.0, inf)
    assert fused.output == "relu"


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(
            chain(
                ("conv", ("image",), SAME),
                ("relu", ("conv",), RELU),
                ("sum", ("conv", "relu"), Add()),
            ),
            id="when another layer reads what it clamps",
        ),
        pytest.param(
            chain(("conv", ("image",), SAME), ("relu", ("conv",), RELU), conv=OTHER),
            id="when the file rounds on another scale in between",
        ),
        pytest.param(chain(("relu", ("image",), RELU)), id="when it clamps the network's input"),
    ],
)
def test_a_clamp_stays_a_layer(graph: Graph) -> None:
    assert "Rescale" in kinds(fuse_clamps(graph))


def test_a_convolution_adds_onto_the_other_operand() -> None:
    graph = chain(
        ("branch", ("image",), SAME), ("sum", ("image", "branch"), Add((0.0, 6.0))), branch=OTHER
    )
    (fused,) = fuse_sums(graph).operators
    assert fused.inputs == ("image", "image")
    assert isinstance(fused.attributes, Convolution)
    assert (fused.attributes.sum_scale, fused.attributes.sum_zero_point) == (0.5, -10)
    assert fused.attributes.sum_clamp == (0.0, 6.0)


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(
            chain(("branch", ("image",), SAME), ("sum", ("image", "branch"), Add(sign=-1))),
            id="of a difference",
        ),
        pytest.param(
            chain(("branch", ("image",), SAME), ("sum", ("branch", "branch"), Add())),
            id="of a result with itself",
        ),
        pytest.param(
            chain(
                ("branch", ("image",), SAME),
                ("sum", ("image", "branch"), Add()),
                ("total", ("sum", "branch"), Add()),
            ),
            id="of a result that is needed again",
        ),
    ],
)
def test_a_sum_stays_a_layer(graph: Graph) -> None:
    assert kinds(fuse_sums(graph)) == kinds(graph)


def test_of_two_convolutions_the_last_operand_is_fused_whatever_the_file_s_order() -> None:
    layers = [("first", ("image",), SAME), ("second", ("image",), SAME)]
    total = ("sum", ("first", "second"), Add())
    for order in (layers, layers[::-1]):
        fused = fuse_sums(chain(*order, total)).operators[-1]
        assert (fused.name, fused.inputs) == ("second", ("image", "first"))
