"""`automcu build` says whether the firmware was verified, and refuses a wrong one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from automcu.cli.app import app


@pytest.fixture
def project(tiny_project: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_project, tmp_path / "project"))


def build(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["build", *arguments], env={"COLUMNS": "200"})
    return result.exit_code, result.stdout, result.stderr


def test_the_answer_says_that_the_firmware_was_verified(project: Path) -> None:
    code, shown, _ = build(str(project))
    assert code == 0
    assert "12 golden inputs on the emulated Cortex-M4, all bytes equal" in " ".join(shown.split())


def test_json_has_the_proof(project: Path) -> None:
    code, shown, _ = build(str(project), "--json")
    document = json.loads(shown)
    assert code == 0
    assert document["verified"]["inputs"] == 12
    assert document["verified"]["mismatches"] == 0
    assert document["not_verified"] is None
    assert document["flash_bytes"] > 0


def test_without_verification_the_answer_says_so(project: Path) -> None:
    code, shown, _ = build(str(project), "--no-verify")
    assert code == 0
    assert "not verified" in shown


def test_a_wrong_firmware_is_refused_and_cannot_be_flashed(project: Path) -> None:
    source = project / "model/model.c"
    right = source.read_text()
    wrong = right.replace("+ model_bias[i]", "- model_bias[i]")
    assert wrong != right
    source.write_text(wrong)
    code, shown, problem = build(str(project), "--json")
    assert code == 3
    assert json.loads(shown)["exit_code"] == 3
    assert "12 of 12 golden inputs give other answers" in problem
    assert "Traceback" not in problem
    flashed = CliRunner().invoke(app, ["flash", str(project), "--board", "loop://"])
    assert flashed.exit_code == 2
    assert "firmware.bin is missing" in flashed.stderr


def test_golden_inputs_of_other_sizes_belong_to_another_model(project: Path) -> None:
    inputs = np.zeros((2, 4, 4, 1), np.int8)
    np.savez(project / "golden.npz", inputs=inputs, outputs=inputs.reshape(2, 16))
    code, _, problem = build(str(project))
    assert code == 2
    assert "belongs to another model" in problem
