"""The integer reference: what every kernel on every target must produce, byte for byte."""

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.lowering import Integers, lower
from automcu.compiler.ops import definition_of

Values = NDArray[np.int8]


def run_operator(operator: Operator, integers: Integers, inputs: tuple[Values, ...]) -> Values:
    """One operator on int8 inputs [n, height, width, channels]."""
    return definition_of(operator.attributes).reference(inputs, operator.attributes, integers)


def run_all_tensors(graph: Graph, inputs: Values) -> dict[str, Values]:
    """Every tensor of the graph for inputs int8 [n, height, width, channels].

    Inputs of another shape are taken in the order of their bytes, as the C takes them.
    """
    values = {graph.input: inputs.reshape(len(inputs), *graph.tensors[graph.input].shape)}
    for operator in graph.operators:
        sources = tuple(values[name] for name in operator.inputs)
        values[operator.output] = run_operator(operator, lower(operator, graph), sources)
    return values


def run_reference(graph: Graph, inputs: Values, batch: int = 64) -> Values:
    """Outputs int8 [n, features] for inputs int8 [n, height, width, channels]."""
    outputs = [
        run_all_tensors(graph, inputs[first : first + batch])[graph.output]
        for first in range(0, len(inputs), batch)
    ]
    return np.concatenate(outputs).reshape(len(inputs), -1)
