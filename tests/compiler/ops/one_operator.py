"""Graphs of one operator, run in C, in integers and in real arithmetic."""

from itertools import count
from math import prod
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from automcu.compiler import Graph, Operator, Quantisation, Tensor, compile_graph, run_all_tensors
from automcu.compiler.graph import Attributes
from automcu.compiler.ops import Rearrange
from automcu.compiler.tensor import Shape
from automcu.mcu import Device
from tests.compiler.compiled_model import CompiledModel
from tests.compiler.random_graphs import quantisations

Values = NDArray[np.int8]
_numbers = count()


def shapes(largest: int = 6) -> st.SearchStrategy[Shape]:
    """Heights, widths and channels from 1 on."""
    size = st.integers(1, largest)
    return st.tuples(size, size, size)


def one_operator(
    attributes: Attributes,
    sources: tuple[tuple[Shape, Quantisation], ...],
    result: Quantisation,
) -> Graph:
    """The operator on operands cut from one long input vector, one behind the other."""
    sizes = [prod(shape) for shape, _ in sources]
    tensors = [Tensor("vector", (1, 1, sum(sizes)), sources[0][1])]
    operators = []
    for index, (shape, quantisation) in enumerate(sources):
        name = f"operand{index}"
        cut = Rearrange("slice", shape, ((sizes[index], 1),), sum(sizes[:index]))
        tensors.append(Tensor(name, shape, quantisation))
        operators.append(Operator(f"cut{index}", ("vector",), name, cut))
    names = tuple(f"operand{index}" for index in range(len(sources)))
    shape = attributes.output_shape(*(shape for shape, _ in sources))
    tensors.append(Tensor("result", shape, result))
    operators.append(Operator("tested", names, "result", attributes))
    return Graph({t.name: t for t in tensors}, tuple(operators), "vector", "result")


def random_inputs(graph: Graph, number: int = 3) -> Values:
    """All byte values are equally likely."""
    shape = graph.tensors[graph.input].shape
    return np.random.default_rng(0).integers(-128, 128, (number, *shape), dtype=np.int8)


def assert_c_equals_reference(graph: Graph, device: Device, folder: Path) -> None:
    """Compile the graph, strictly, and compare all bytes of a few outputs."""
    program = compile_graph(graph, device)
    model = CompiledModel(program, folder / f"model{next(_numbers)}")
    inputs = random_inputs(graph)
    assert np.array_equal(model.run(inputs), program.run(inputs))


def operands_and_result(graph: Graph) -> tuple[list[NDArray[np.float64]], Values]:
    """Real operands [n, h, w, c] and the integer result, for random inputs."""
    values = run_all_tensors(graph, random_inputs(graph))
    operands = [real(values[name], graph.tensors[name]) for name in graph.operators[-1].inputs]
    return operands, values["result"]


def real(values: Values, tensor: Tensor) -> NDArray[np.float64]:
    """What the integers of a tensor stand for."""
    assert tensor.quantisation is not None
    steps = values.astype(np.float64) - tensor.quantisation.zero_point
    return steps * tensor.quantisation.scale


def furthest(result: Values, expected: NDArray[np.float64], quantisation: Quantisation) -> float:
    """The largest distance of a result from the real values, in steps of its scale."""
    exact = np.clip(expected / quantisation.scale + quantisation.zero_point, -128, 127)
    return float(np.abs(result - exact).max())


__all__ = [
    "assert_c_equals_reference",
    "furthest",
    "one_operator",
    "operands_and_result",
    "quantisations",
    "random_inputs",
    "real",
    "shapes",
]
