"""Whole random programs: the compiled C against the integer reference, byte for byte."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from automcu.compiler import Graph, compile_graph, run_all_tensors
from automcu.devices import Device
from tests.compiler.compiled_model import CompiledModel
from tests.compiler.random_graphs import graphs

_INPUTS = 3


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
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


def random_inputs(graph: Graph) -> np.ndarray:
    shape = graph.tensors[graph.input].shape
    return np.random.default_rng(0).integers(-128, 128, (_INPUTS, *shape), dtype=np.int8)
