"""`automcu bench` as a user types it, on virtual boards."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from automcu.cli.app import app
from automcu.compiler import Project
from automcu.compiler.project import TensorInfo
from automcu.user_model.inputs import load_test_set


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def project(tiny_project: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_project, tmp_path / "digits")


def test_results_are_kept_and_compared(project: Path) -> None:
    estimate = {"layers": [{"name": "add bias", "cycles": 500}, {"name": "copy", "cycles": 90}]}
    (project / "estimate.json").write_text(json.dumps(estimate))
    first = run("bench", str(project), "--runs", "7")
    assert first.exit_code == 0, first.stderr
    assert "median of 7 runs (modelled" in first.stdout
    assert "estimated 590" in first.stdout
    second = json.loads(run("bench", str(project), "--runs", "7", "--json").stdout)
    assert (second["runs"], second["inputs"], second["mismatches"]) == (7, 12, 0)
    assert [layer["estimated"] for layer in second["layers"]] == [500, 90]
    assert len(second["firmware_hash"]) == 16
    comparison = json.loads(run("bench", str(project), "--compare", "--json").stdout)
    assert comparison["table"] == str(project / "bench.csv")
    assert [row["runs"] for row in comparison["runs"]] == [7, 7]
    assert comparison["runs"][1]["latency_change_percent"] == pytest.approx(0.0, abs=1.0)
    assert "+0.0 %" in run("bench", str(project), "--compare").stdout


def test_a_comparison_names_the_devices_and_says_where_they_differ(project: Path) -> None:
    assert run("bench", str(project), "--runs", "1").exit_code == 0
    shown = run("bench", str(project), "--compare").stdout
    assert "nucleo-l4r5zi" in shown
    assert "different devices" not in shown
    table = project / "bench.csv"
    header, row = table.read_text().splitlines()
    table.write_text("\n".join([header, row, row.replace("nucleo-l4r5zi", "nucleo-f446re")]) + "\n")
    shown = " ".join(run("bench", str(project), "--compare").stdout.split())
    assert "digits ran on different devices (nucleo-f446re, nucleo-l4r5zi)" in shown
    compared = json.loads(run("bench", str(project), "--compare", "--json").stdout)["runs"]
    assert [row["latency_change_percent"] for row in compared] == [None, None]


def test_accuracy_is_that_on_a_test_set(project: Path, tmp_path: Path) -> None:
    """The tiny network answers the class of the largest byte; -128 follows 127."""
    x = np.zeros((40, 8, 8, 1), np.int8)
    y = np.arange(40)
    x.reshape(40, 64)[np.arange(40), y] = 100
    y[:10] += 1
    np.savez(tmp_path / "test.npz", x=x, y=y)
    found = json.loads(
        run("bench", str(project), "--data", str(tmp_path / "test.npz"), "--json").stdout
    )
    assert (found["test_inputs"], found["accuracy"]) == (40, 0.75)
    fewer = json.loads(
        run(
            "bench", str(project), "--data", str(tmp_path / "test.npz"), "--inputs", "10", "--json"
        ).stdout
    )
    assert (fewer["test_inputs"], fewer["inputs"]) == (10, 10)
    assert 0.0 < fewer["accuracy"] < 1.0, "drawn from all: the first ten are all wrong"
    assert "Only 10 inputs were tested" in " ".join(fewer["warnings"])
    assert fewer["execution"] == "virtual board"


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_inputs_without_classes_are_reported_in_a_sentence(
    project: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"test.{suffix}"
    x = np.zeros((4, 8, 8, 1), np.int8)
    np.save(path, x) if suffix == "npy" else np.savez(path, x=x)
    found = run("bench", str(project), "--data", str(path))
    assert found.exit_code == 0, found.stderr
    said = " ".join(found.stdout.split())
    assert "has no class for each input: accuracy was not measured" in said
    assert "no labels" in said


def test_floats_are_fed_as_the_model_takes_them(project: Path, tmp_path: Path) -> None:
    """The tiny network's input as a file lays it out: standardised, channels-first."""
    description = json.loads((project / "project.json").read_text())
    description["input"] |= {"shape": [4, 8, 2], "scale": 0.05, "zero_point": 3}
    description["input"] |= {"file_shape": [1, 2, 4, 8], "file_order": [0, 2, 3, 1]}
    (project / "project.json").write_text(json.dumps(description))
    taken = Project.load(project / "project.json").input
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 8)).astype(np.float32)
    np.savez(tmp_path / "test.npz", x=x, y=np.array([0, 1, 2]))
    found, notes = load_test_set(str(tmp_path / "test.npz"), taken, 3)
    assert found is not None
    assert notes == ()
    expected = np.clip(np.rint(x.transpose(0, 2, 3, 1) / 0.05) + 3, -128, 127)
    np.testing.assert_array_equal(found.inputs, expected)
    np.testing.assert_array_equal(found.labels, [0, 1, 2])


def test_pixels_for_a_network_of_another_range_are_reported(project: Path) -> None:
    taken = TensorInfo(shape=(8, 8, 1), scale=2 / 255, zero_point=0)
    found, notes = load_test_set("digits", taken, 5)
    assert found is not None
    assert found.inputs.shape == (5, 8, 8, 1)
    assert "the network takes -1 to 0.996" in notes[0]


def test_a_test_set_of_another_size_is_wrong_use(project: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "test.npz", x=np.zeros((4, 9), np.int8), y=np.zeros(4, np.int64))
    result = run("bench", str(project), "--data", str(tmp_path / "test.npz"))
    assert result.exit_code == 2
    assert "the network takes 8x8x1" in result.stderr


def test_comparing_before_measuring_says_to_measure(project: Path) -> None:
    result = run("bench", str(project), "--compare")
    assert result.exit_code == 2
    assert "Measure first" in result.stderr
