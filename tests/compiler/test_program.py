"""Whole random programs: the compiled C against the integer reference, byte for byte."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automcu.compiler import Graph, Operator, Program, compile_graph, run_all_tensors
from automcu.mcu import Device
from tests.compiler.compiled_model import CompiledModel
from tests.compiler.random_graphs import graphs

_INPUTS = 3


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs())
def test_compiled_c_computes_the_reference_byte_for_byte(
    graph: Graph, portable_device: Device, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = compile_graph(graph, portable_device)
    model = CompiledModel(program, tmp_path_factory.getbasetemp())
    inputs = random_inputs(graph)
    assert np.array_equal(model.run(inputs), program.run(inputs))
    expected = run_all_tensors(program.graph, inputs[:1])
    for name, values in model.run_layers(inputs[0]).items():
        assert np.array_equal(values, expected[name][0]), name


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(), seed=st.integers(0, 2**32 - 1))
def test_neither_names_nor_the_order_of_the_file_change_the_program(
    graph: Graph, seed: int, portable_device: Device
) -> None:
    one, other = (compile_graph(g, portable_device) for g in (graph, shuffled(graph, seed)))
    assert functions(one) == functions(other)
    assert one.arena.size == other.arena.size
    inputs = random_inputs(graph)
    assert np.array_equal(one.run(inputs), other.run(inputs))


def functions(program: Program) -> list[str]:
    return [program.kernels[operator.name].function for operator in program.graph.operators]


def shuffled(graph: Graph, seed: int) -> Graph:
    """The same graph with its operators in another valid order, all tensors and layers renamed."""
    chance = random.Random(seed)
    names = dict(zip(graph.tensors, chance.sample(range(1000), len(graph.tensors)), strict=True))
    known, waiting, operators = {graph.input}, list(graph.operators), []
    while waiting:
        ready = [op for op in waiting if known.issuperset(op.inputs)]
        chosen = chance.choice(ready)
        waiting = [op for op in waiting if op is not chosen]
        known.add(chosen.output)
        operators.append(
            Operator(
                f"l{chance.randrange(10**6)}",
                tuple(f"t{names[name]}" for name in chosen.inputs),
                f"t{names[chosen.output]}",
                chosen.attributes,
            )
        )
    tensors = [replace(t, name=f"t{names[t.name]}") for t in graph.tensors.values()]
    return Graph(
        {tensor.name: tensor for tensor in tensors},
        tuple(operators),
        f"t{names[graph.input]}",
        f"t{names[graph.output]}",
    )


def random_inputs(graph: Graph) -> np.ndarray:
    shape = graph.tensors[graph.input].shape
    return np.random.default_rng(0).integers(-128, 128, (_INPUTS, *shape), dtype=np.int8)
