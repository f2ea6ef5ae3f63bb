"""A user pays for what they use: which packages a command imports, each in its own process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import automcu
from automcu.cli.app import COMMANDS, command_named

DEVICE = ("--device", "nucleo-l4r5zi")
OF_A_RUN = ("torch", "optuna", "matplotlib", "sklearn", "scipy", "pandas", "openai")
OF_A_CALIBRATION = ("onnxruntime",)
OF_A_BOARD = ("unicorn", "capstone", "serial")
PROGRAM = """
import sys
from automcu.cli.app import app
try:
    app({arguments!r})
except SystemExit as end:
    print(end.code)
print([name for name in {packages!r} if name in sys.modules])
"""


def imported_by(*arguments: str, of: tuple[str, ...]) -> str:
    """Run a command; return its exit code and which packages it has imported, as printed."""
    program = PROGRAM.format(arguments=arguments, packages=of)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.splitlines()[-2:])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float model of one layer, quantised and compiled, and built."""
    folder = tmp_path_factory.mktemp("own")
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
    made = automcu.compile(
        folder / "own.onnx", DEVICE[1], folder / "project", calibrate=str(folder / "data.npz")
    )
    automcu.build(made.folder)
    return made.folder


def test_checking_and_compiling_a_quantised_model_imports_nothing_that_trains_or_emulates(
    project: Path, tmp_path: Path
) -> None:
    model = str(project / "model.int8.onnx")
    heavy = OF_A_RUN + OF_A_CALIBRATION + OF_A_BOARD
    assert imported_by("check", model, *DEVICE, of=heavy) == "0 []"
    out = str(tmp_path / "project")
    assert imported_by("compile", model, *DEVICE, "--out", out, of=heavy) == "0 []"


def test_building_and_flashing_import_nothing_that_trains(project: Path) -> None:
    heavy = OF_A_RUN + OF_A_CALIBRATION
    assert imported_by("build", str(project), of=heavy) == "0 []"
    board = ("--board", "socket://localhost:9", "--dry-run")
    assert imported_by("flash", str(project), *board, of=heavy) == "0 []"


def test_listing_boards_imports_nothing_that_computes() -> None:
    heavy = (*OF_A_RUN, *OF_A_CALIBRATION, "onnx", "automcu.compiler")
    assert imported_by("boards", "--no-ask", of=heavy) == "0 []"
    assert imported_by("devices", of=(*heavy, *OF_A_BOARD, "numpy")) == "0 []"


def test_help_and_version_import_no_command() -> None:
    heavy = (
        *OF_A_RUN,
        "numpy",
        "pydantic",
        *(f"automcu.cli.{one}" for one, _ in COMMANDS.values()),
    )
    assert imported_by("--help", of=heavy) == "0 []"
    assert imported_by("--version", of=heavy) == "0 []"


@pytest.mark.parametrize("name", ["check", "build", "flash", "bench", "report"])
def test_the_help_of_a_command_imports_nothing_that_computes(name: str) -> None:
    assert imported_by(name, "--help", of=(*OF_A_RUN, *OF_A_BOARD, "numpy", "onnx")) == "0 []"


def test_a_survey_from_the_cache_imports_nothing_that_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    command = ("space", *DEVICE, "--stem", "4", "--cells", "1", "--resolution", "8")
    computes = ("numpy", "scipy", "onnx", "matplotlib", "automcu.compiler")
    assert "automcu.compiler" in imported_by(*command, of=computes)
    assert imported_by(*command, of=computes) == "0 []"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_itself(name: str) -> None:
    assert COMMANDS[name][1] == command_named(name).help
