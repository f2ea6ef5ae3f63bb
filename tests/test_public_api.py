"""The public surface of the package: names, signatures, and what a first script does with them."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import automcu

ERRORS = {
    *("AutomcuError", "BoardError", "DoesNotFitError", "FirmwareDiffersError", "NoFiguresError"),
    *("ToolError", "UnsupportedModelError", "WrongInputError"),
}
RECORDS = {"Brief", "Device", "Limits", "Settings"}
NO_LIMITS = "Limits(latency_ms=None, energy_mj=None, ram_bytes=None, flash_bytes=None)"
OF_A_MODEL = "weights='8', data=None, calibrate=None"
SIGNATURES = {
    "bench": "(folder, board='virtual', *, inputs=None, runs=None, data=None, progress=None)",
    "build": "(folder, *, verify=True)",
    "check": f"(model, device, limits={NO_LIMITS}, *, {OF_A_MODEL})",
    "compile": f"(model, device, out, limits={NO_LIMITS}, *, {OF_A_MODEL}, name='model')",
    "design": "(brief, path, settings=None, *, resume=False, progress=None)",
    "find_device": "(name)",
    "flash": "(folder, board, *, method=None, progress=None)",
}
RESULTS = {
    "bench": "BenchResult",
    "build": "Build",
    "check": "CheckResult",
    "compile": "CompileResult",
    "design": "Run",
    "find_device": "Device",
    "flash": "FlashResult",
}


def test_the_public_names_are_these() -> None:
    assert set(automcu.__all__) == {*SIGNATURES, *RESULTS.values(), *RECORDS, *ERRORS}
    assert set(automcu.__all__) <= set(dir(automcu))


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_public_functions_have_these_signatures(name: str) -> None:
    signature = inspect.signature(getattr(automcu, name))
    parameters = signature.parameters.values()
    assert all(one.annotation is not inspect.Parameter.empty for one in parameters)
    assert signature.return_annotation is getattr(automcu, RESULTS[name])
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in parameters]
    assert str(inspect.Signature(bare)) == SIGNATURES[name]


@pytest.mark.parametrize("name", SIGNATURES)
def test_every_public_function_says_what_it_raises(name: str) -> None:
    documented = inspect.getdoc(getattr(automcu, name)) or ""
    raised = documented.partition("Raises:")[2]
    assert any(error in raised for error in ERRORS)


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_every_error_of_the_package_is_one_that_can_be_caught_together(name: str) -> None:
    assert issubclass(getattr(automcu, name), automcu.AutomcuError)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = automcu.nothing


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", automcu.Limits.model_fields)
def test_a_limit_that_nothing_or_everything_keeps_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        automcu.Limits(**{name: value})
    with pytest.raises(ValueError, match=f"max_{name}"):
        automcu.Brief(text="", device="f407", dataset="digits", **{f"max_{name}": value})


@pytest.mark.parametrize("wrong", [{"budget": 0}, {"parallel": 0}, {"training_seconds": 0}])
def test_settings_that_train_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        automcu.Settings(**wrong)


@pytest.mark.parametrize("wrong", [{"inputs": 0}, {"runs": 0}, {"runs": -1}])
def test_a_bench_of_no_inputs_or_runs_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(automcu.WrongInputError, match="Give 1 or more"):
        automcu.bench("project", **wrong)


def test_importing_the_package_imports_next_to_nothing() -> None:
    program = "import sys, automcu; print([one for one in sys.modules if 'automcu' in one])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "['automcu.errors', 'automcu']"


def test_a_script_checks_compiles_builds_and_measures_a_model(tmp_path: Path) -> None:
    model, data = _model_of_one_layer(tmp_path)
    board = automcu.find_device("nucleo-l4r5zi")
    checked = automcu.check(model, board, automcu.Limits(latency_ms=50), calibrate=data)
    assert checked.verdict.fits and checked.calibrated is not None
    made = automcu.compile(model, board, tmp_path / "project", calibrate=data)
    assert made.verdict is not None and made.verdict.estimate == checked.verdict.estimate
    built = automcu.build(made.folder)
    assert built.verified is not None and built.verified.mismatches == 0
    measured = automcu.bench(made.folder, inputs=4, runs=3).measurement
    assert (measured.inputs, measured.mismatches) == (4, 0)
    assert measured.arena_bytes == checked.verdict.estimate.arena_bytes
    with pytest.raises(automcu.WrongInputError, match="has to run before it can be flashed"):
        automcu.flash(made.folder, "virtual")


def _model_of_one_layer(folder: Path) -> tuple[Path, str]:
    """A float ONNX file, and inputs for it in a .npz."""
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(8, 4)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "one layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 8))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4))],
        [helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[opset]), folder / "own.onnx")
    np.savez(folder / "data.npz", x=generator.normal(size=(64, 8)).astype(np.float32))
    return folder / "own.onnx", str(folder / "data.npz")
