"""An operator from outside the package needs its class, its C template and a reader of its node."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx.parser
import pytest
from hypothesis import HealthCheck, given, settings
from typer.testing import CliRunner

from automcu.cli.app import app
from automcu.compiler import compile_graph, import_model
from automcu.compiler.read.node import READERS, reader
from automcu.compiler.tensor import Quantisation, Shape
from automcu.mcu import Device
from tests.compiler.compiled_model import CompiledModel
from tests.compiler.ops.one_operator import assert_c_equals_reference, one_operator, shapes
from tests.compiler.own_operator.running_sum import RunningSum, read_cumulative_sum
from tests.compiler.random_graphs import quantisations

MODEL = """
    <ir_version: 9, opset_import: ["" : 17]>
    model (int8[1,4,5,5] input) => (int8[1,4,5,5] output)
    <float sx = {0.05}, float sy = {0.2}, int8 zx = {-7}, int8 zy = {5}, int64 axis = {1}>
    {
        x = DequantizeLinear(input, sx, zx)
        y = CumSum(x, axis)
        output = QuantizeLinear(y, sy, zy)
    }
"""


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Path]:
    """A file with the operator, while there is a reader for it."""
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx.parser.parse_model(MODEL).SerializeToString())
    reader("CumSum")(read_cumulative_sum)
    yield path
    del READERS["CumSum"]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(shape=shapes(), source=quantisations(), result=quantisations())
def test_its_c_computes_its_reference(
    shape: Shape,
    source: Quantisation,
    result: Quantisation,
    portable_device: Device,
    tmp_path: Path,
) -> None:
    graph = one_operator(RunningSum(shape[2]), ((shape, source),), result)
    assert_c_equals_reference(graph, portable_device, tmp_path)


def test_a_model_with_it_compiles_and_computes_the_sums(
    model: Path, portable_device: Device, tmp_path: Path
) -> None:
    program = compile_graph(import_model(model), portable_device)
    assert [program.title(operator) for operator in program.graph.operators] == ["running sum"]
    values = np.random.default_rng(0).integers(-128, 128, (2, 5, 5, 4), dtype=np.int8)
    sums = np.cumsum((values.astype(np.float64) + 7) * 0.05, axis=-1) / 0.2 + 5
    found = CompiledModel(program, tmp_path).run(values).reshape(values.shape)
    assert np.abs(found - np.clip(sums, -128, 127)).max() <= 0.51


def test_its_record_of_parameters_is_declared_from_its_fields(
    model: Path, portable_device: Device, tmp_path: Path
) -> None:
    program = compile_graph(import_model(model), portable_device)
    source = (CompiledModel(program, tmp_path).folder / "model.c").read_text()
    declaration = """typedef struct {
    int32_t input_zero_point;
    int32_t multiplier; /* of sums, with 32 binary places */
    requantisation scaling;
} running_sum_parameters;
"""
    assert declaration in source
    assert ".input_zero_point = -7," in source


def test_a_check_says_that_its_cost_is_guessed(model: Path) -> None:
    command = ["check", str(model), "--device", "stm32f407g-disc1"]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0
    assert "GUESSED" in shown.output
    answer = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert [layer["op"] for layer in answer["layers"]] == ["running sum"]
    assert answer["layers"][0]["cycles"] > 0
