"""The MLPerf Tiny networks, made by others: each layer against LiteRT, and their accuracy."""

import os
from pathlib import Path

import numpy as np
import pytest

from automcu.compiler import Graph, compile_graph, import_model
from automcu.compiler.graph import run_operator
from automcu.errors import UnsupportedModelError
from automcu.mcu import Device

DATA = Path(os.environ.get("AUTOMCU_DATA", "../shared/data")) / "mlperf_tiny"
NETWORKS = {
    "keyword spotting": "kws_ref_model.tflite",
    "image classification": "pretrainedResnet_quant.tflite",
    "anomaly detection": "ad01_int8.tflite",
}
INPUTS = 10
REFERENCE_ACCURACY = 0.902  # of the reference interpreter on the 1,000 inputs
MOST_LOSS = 0.003

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the MLPerf Tiny networks are not in {DATA}; set AUTOMCU_DATA"
)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_is_within_one_step_of_litert(name: str) -> None:
    litert = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="pip install ai-edge-litert to compare with LiteRT"
    )
    path = DATA / NETWORKS[name]
    graph = import_model(path)
    shape = graph.tensors[graph.input].shape
    inputs = np.random.default_rng(0).integers(-128, 128, (INPUTS, *shape), dtype=np.int8)
    interpreter = litert.Interpreter(
        str(path),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    theirs = tensors_of(interpreter, inputs) | {graph.input: inputs}
    compared = 0
    for operator in graph.operators:
        sources = tuple(shaped(theirs[source], source, graph) for source in operator.inputs)
        ours = run_operator(operator, operator.lower(graph), sources).astype(np.int64)
        expected = shaped(theirs[operator.output], operator.output, graph)
        assert np.abs(ours - expected).max() <= 1, operator.name
        compared += 1
    assert compared >= 10


def tensors_of(interpreter: object, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """What LiteRT computes, by the last of the names that a converter joined."""
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    computed = {n for layer in interpreter._get_ops_details() for n in layer["outputs"]}
    details = [d for d in interpreter.get_tensor_details() if d["index"] in computed]
    values: dict[str, list[np.ndarray]] = {}
    for one in inputs:
        interpreter.set_tensor(source["index"], one.reshape(source["shape"]))
        interpreter.invoke()
        for detail in details:
            name = detail["name"].rsplit(";", 1)[-1]
            values.setdefault(name, []).append(interpreter.get_tensor(detail["index"]).copy())
    return {name: np.stack(arrays) for name, arrays in values.items()}


def shaped(values: np.ndarray, name: str, graph: Graph) -> np.ndarray:
    return values.reshape(len(values), *graph.tensors[name].shape)


def test_keyword_spotting_is_as_accurate_as_with_the_reference_interpreter(
    portable_device: Device,
) -> None:
    archive = np.load(DATA / "kws01_mfcc_int8.npz")
    program = compile_graph(import_model(DATA / NETWORKS["keyword spotting"]), portable_device)
    scores = program.run(archive["x"][..., None])
    accuracy = np.mean(scores.argmax(axis=1) == archive["y"])
    assert len(scores) == 1000
    assert abs(accuracy - REFERENCE_ACCURACY) <= MOST_LOSS


@pytest.mark.parametrize("name", NETWORKS)
def test_passes_change_no_byte(name: str, portable_device: Device) -> None:
    graph = import_model(DATA / NETWORKS[name])
    program = compile_graph(graph, portable_device)
    shape = graph.tensors[graph.input].shape
    inputs = np.random.default_rng(1).integers(-128, 128, (4, *shape), dtype=np.int8)
    values = {graph.input: inputs}
    for operator in graph.operators:
        sources = tuple(values[source] for source in operator.inputs)
        values[operator.output] = run_operator(operator, operator.lower(graph), sources)
    assert np.array_equal(program.run(inputs), values[graph.output].reshape(4, -1))


def test_a_float_model_is_refused_with_how_to_quantise_it() -> None:
    with pytest.raises(UnsupportedModelError, match=r"float weights.*full integer"):
        import_model(DATA / "pretrainedResnet.tflite")
