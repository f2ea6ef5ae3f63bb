"""The commands that work on a run, on a real one, and Ctrl-C as a terminal sends it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from automcu.cli.app import app
from automcu.run.records import Run

SENTENCE = (
    "Recognise hand-written digits on an STM32F407 discovery board, under 20 ms and 64 KB of RAM"
)
VERDICT_KEYS = {
    *("device", "fits", "limits", "flash_bytes", "ram_bytes", "arena_bytes", "cycles"),
    *("latency_ms", "macs", "layers"),
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def document(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_a_report_is_made_again_from_the_records(
    finished: Run, copy_of_run: Callable[[], Path]
) -> None:
    folder = copy_of_run()
    page = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    result = run("report", str(folder))
    assert result.exit_code == 0, result.stderr
    assert "359 answers equal" in " ".join(result.stdout.split())
    assert len((folder / "report.html").read_text()) == len(page)
    answer = document("report", str(folder))
    assert {
        *("run", "device", "fits", "candidates", "architecture", "flash_bytes", "ram_bytes"),
        *("arena_bytes", "latency_ms", "latency_source", "accuracy", "board_inputs"),
        "board_mismatches",
    } <= answer.keys()
    assert {"space", "feasible", "trained"} <= answer["candidates"].keys()
    assert set(answer["accuracy"]) == {"float", "host", "board"}
    assert answer["latency_source"] == "modelled"
    assert answer["board_mismatches"] == 0


def test_build_and_bench_work_on_a_run_again(
    finished: Run, copy_of_run: Callable[[], Path]
) -> None:
    folder = copy_of_run()
    built = document("build", str(folder))
    assert built["arena_bytes"] == finished.build.arena_bytes
    measured = document("bench", str(folder), "--board", "virtual", "--inputs", "5")
    assert {
        *("board", "latency_ms", "latency_source", "cycles", "layers", "accuracy", "inputs"),
        *("mismatches", "stack_bytes", "arena_bytes"),
    } <= measured.keys()
    assert set(measured["latency_ms"]) == {"min", "median", "p95"}
    assert (measured["inputs"], measured["mismatches"]) == (5, 0)
    assert measured["cycles"] == finished.measurement.cycles


def test_a_model_file_is_checked_compiled_built_and_measured_alone(
    finished: Run, finished_folder: Path, tmp_path: Path
) -> None:
    model = str(finished_folder / f"candidates/{finished.deployment.rank}/int8.onnx")
    verdict = document("check", model, "--device", "f407")
    assert verdict.keys() >= VERDICT_KEYS
    assert verdict["arena_bytes"] == finished.build.arena_bytes
    out = tmp_path / "mine"
    compiled = document("compile", model, "--device", "f407", "--out", str(out))
    assert compiled.keys() >= VERDICT_KEYS
    assert set(compiled["layers"][0]) == {"name", "op", "variant", "macs", "cycles", "others"}
    document("build", str(out))
    measured = document("bench", str(out))
    assert measured["mismatches"] == 0
    assert measured["accuracy"] is None


def test_a_cell_is_checked_by_index_and_by_name() -> None:
    by_index = document("check", "11472", "--device", "stm32f407g-disc1", "--cells-per-stage", "1")
    from automcu.networks.cells.cell import Cell

    cell = str(Cell.from_index(11472))
    by_name = document("check", cell, "--device", "f407", "--cells-per-stage", "1")
    assert by_index == by_name
    assert by_index["fits"] is True


def test_what_does_not_fit_is_exit_code_1_with_the_miss_and_a_remedy() -> None:
    result = run("check", "6111", "--device", "f407", "--max-ram", "8 KB", "--json")
    assert result.exit_code == 1
    limits = {limit["limit"]: limit for limit in json.loads(result.stdout)["limits"]}
    assert limits["ram"]["needed"] > limits["ram"]["available"] == 8192
    assert "Try" in result.stderr


def test_space_counts_what_fits() -> None:
    answer = document(
        *("space", "--device", "f407", "--stem-channels", "16", "--cells-per-stage", "1"),
        *("--resolution", "8", "--input-channels", "1", "--max-latency-ms", "20"),
    )
    assert answer.keys() >= {"device", "skeleton", "cells", "feasible", "seconds", "front"}
    assert answer["cells"] == 15625
    assert 0 < answer["feasible"] < 15625
    assert answer["front"][0].keys() >= {
        *("index", "architecture", "prior", "latency_ms", "flash_bytes", "ram_bytes"),
    }
    shown = run("space", "--device", "f407", "--cells-per-stage", "1", "--resolution", "8")
    assert "15,625 cells fit" in " ".join(shown.stdout.split())


def test_a_damaged_model_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    result = run("check", str(tmp_path / "broken.onnx"), "--device", "f407")
    assert result.exit_code == 2
    assert "broken.onnx" in result.stderr
    assert "Traceback" not in result.stderr


def _wait_for(path: Path, process: "subprocess.Popen[str]", seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, "it ended early"
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.05)


def test_a_run_that_is_stopped_twice_goes_on(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "automcu", "design"]
    options = ("--out", "digits", "--budget", "1", "--training-time", "5")
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}

    def stop(arguments: tuple[str, ...], moment: str, number: signal.Signals) -> None:
        """Send a signal as soon as a file is there: Ctrl-C reaches the group, SIGTERM one."""
        process = subprocess.Popen(
            [*program, *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        _wait_for(tmp_path / "digits" / moment, process)
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        _, answer = process.communicate(timeout=60)
        assert process.returncode == 128 + number, answer
        assert "automcu design --resume digits" in answer
        assert "Traceback" not in answer

    stop((SENTENCE, *options), "brief.json", signal.SIGTERM)
    stop(("--resume", "digits"), "candidates/1/checkpoint.pt", signal.SIGINT)
    done = subprocess.run(
        [*program, "--resume", "digits", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["board_mismatches"] == 0
    assert not list((tmp_path / "digits").rglob(".*")), "files that were being written are left"


def test_a_report_imports_nothing_that_trains_or_draws(finished_folder: Path) -> None:
    program = (
        "import sys\nfrom automcu.cli.app import app\n"
        f"try: app(['report', {str(finished_folder)!r}])\n"
        "except SystemExit as end: print(end.code)\n"
        "print([one for one in ('torch', 'optuna', 'matplotlib') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-2:] == ["0", "[]"], done.stderr
