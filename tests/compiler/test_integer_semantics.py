"""The page docs/integer-semantics.md, the numpy reference and C say the same."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from automcu.compiler import Graph, compile_graph, ops, run_all_tensors
from automcu.mcu import Device
from benchmarks.graph_generator import CONVOLUTIONAL_STEPS
from tests.compiler.plain_arithmetic import run_plainly
from tests.compiler.random_graphs import graphs

PAGE = Path(__file__).parents[2] / "docs/integer-semantics.md"


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(most_steps=4, kinds=CONVOLUTIONAL_STEPS))
def test_an_implementation_from_the_page_alone_computes_the_reference(
    graph: Graph, portable_device: Device
) -> None:
    graph = compile_graph(graph, portable_device).graph
    shape = graph.tensors[graph.input].shape
    image = np.random.default_rng(0).integers(-128, 128, shape, dtype=np.int8)
    expected = run_all_tensors(graph, image[None])
    for name, values in run_plainly(graph, image).items():
        assert np.array_equal(values, expected[name][0]), name


@pytest.mark.parametrize("operator", [*ops.__all__, "RowTiling"])
def test_the_page_covers_every_operator(operator: str) -> None:
    words = {"AveragePool": "average", "MaxPool": "maximum"}
    words |= {"AddConstant": "add constants", "LayerNorm": "layer norm", "RowTiling": "stripes"}
    text = re.sub(r"\s+", " ", PAGE.read_text().lower())
    assert words.get(operator, operator.lower()) in text
