"""`--weights` and `--data` of check and compile, on a model file of others."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Group
from typer.testing import CliRunner, Result

from automcu.cli.answer import Answer
from automcu.cli.app import app
from automcu.cli.model import with_weights
from automcu.user_model.quantise import LowBitWeights

DATA = Path(os.environ.get("AUTOMCU_DATA", "../shared/data")) / "mlperf_tiny"
MODEL = DATA / "kws_ref_model.tflite"
BOARD = ("--device", "nucleo-l4r5zi")

needs_data = pytest.mark.skipif(not MODEL.is_file(), reason="the MLPerf Tiny models are missing")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def document(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


@needs_data
def test_a_compiled_model_has_low_bit_kernels_and_says_what_they_cost(tmp_path: Path) -> None:
    data = str(DATA / "kws01_mfcc_int8.npz")
    whole = document("check", str(MODEL), *BOARD)
    reported = document(
        "compile", str(MODEL), *BOARD, "--out", str(tmp_path), "--weights", "4", "--data", data
    )
    variants = [layer["variant"] for layer in reported["layers"]]
    reduced = [v for v in variants if v.startswith("armv7e-m") and v.endswith(" 4-bit")]
    assert len(reduced) == len(reported["weights"]["widths"]) == 4
    assert reported["flash_bytes"] < whole["flash_bytes"]
    assert reported["weights"]["accuracy_8_bits"] - 0.05 < reported["weights"]["accuracy"]
    assert reported["weights"]["test_inputs"] == 875
    assert "unpack_4_bits" in (tmp_path / "model" / "model.c").read_text()


@needs_data
def test_auto_reduces_bits_for_a_flash_limit_only() -> None:
    whole = document("check", str(MODEL), *BOARD, "--weights", "auto")
    assert whole["weights"]["widths"] == {}
    limit = whole["flash_bytes"] - 3000
    reported = document(
        "check", str(MODEL), *BOARD, "--weights", "auto", "--max-flash", f"{limit} B"
    )
    assert reported["weights"]["widths"] and reported["flash_bytes"] <= limit


@needs_data
def test_a_width_that_is_none_is_refused() -> None:
    result = run("check", str(MODEL), *BOARD, "--weights", "5")
    assert result.exit_code == 2
    assert "Choose auto, 8, 6, 4, 3, 2" in result.stderr


def test_a_cell_has_no_weights_to_reduce() -> None:
    result = run("check", "1234", *BOARD, "--weights", "4")
    assert result.exit_code == 2
    assert "a model file" in result.stderr


def test_an_accuracy_that_is_no_result_is_reported_in_a_warning() -> None:
    reported = LowBitWeights(
        widths={}, test_inputs=10, accuracy=0.5, accuracy_8_bits=0.5, warnings=("Only 10 inputs.",)
    )
    answer = with_weights(Answer({}, "It fits."), reported)
    assert answer.document["weights"]["warnings"] == ("Only 10 inputs.",)
    assert isinstance(answer.shown, Group)
    assert "Warning: Only 10 inputs." in [str(line) for line in answer.shown.renderables]


@needs_data
def test_few_labelled_inputs_are_warned_of(tmp_path: Path) -> None:
    with np.load(DATA / "kws01_mfcc_int8.npz") as arrays:
        few = {name: arrays[name][:30] for name in ("x", "y")}
    np.savez(tmp_path / "few.npz", **few)
    reported = document("check", str(MODEL), *BOARD, "--data", str(tmp_path / "few.npz"))
    assert any("inputs were tested" in sentence for sentence in reported["weights"]["warnings"])
