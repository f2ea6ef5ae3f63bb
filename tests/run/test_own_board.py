"""A board of one's own is one TOML file: nothing else, and the whole road leads to it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from automcu.cli.app import app
from automcu.mcu import shipped_devices, write_profile
from automcu.networks.cells.cell import Cell

RESIDUAL = Cell.from_index(11472)


@pytest.fixture
def own_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A profile of a part that is not shipped: another id, clock and size of RAM."""
    relative = shipped_devices()["stm32f407g-disc1"]
    timing = relative.flash_timing.model_copy(update={"wait_states": 3})
    memory = tuple(
        region.model_copy(update={"size": 98_304}) if region.name == "sram" else region
        for region in relative.memory
    )
    changes = {
        "id": "my-board",
        "name": "A board of my own",
        "mcu": "STM32F405RGT6",
        "aliases": ("mine",),
        "clock_hz": 120_000_000,
        "flash_timing": timing,
        "memory": memory,
    }
    folder = tmp_path / "profiles"
    write_profile(relative.model_copy(update=changes), folder, "A board that is not shipped.")
    monkeypatch.setenv("AUTOMCU_PROFILES", str(folder))
    return "my-board"


def test_the_main_job_runs_on_a_board_that_is_one_toml_file(own_board: str, tmp_path: Path) -> None:
    accuracies = tmp_path / "accuracies.csv"
    accuracies.write_text(f"cell,accuracy\n{RESIDUAL},93.9\n")
    command = ["design", "--device", "mine", "--data", "digits", "--max-latency-ms", "3"]
    command += ["--budget", "1", "--training-time", "4", "--out", str(tmp_path / "run"), "--json"]
    result = CliRunner().invoke(app, [*command, "--accuracy-table", str(accuracies)])
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert document["device"] == own_board
    assert document["board_mismatches"] == 0
    assert document["latency_ms"] <= 3
    assert run["measurement"]["identity"]["clock_hz"] == 120_000_000
    # The planner ranked by the user's own table, which knows one cell.
    assert run["plan"]["prior"] == "accuracies.csv"
    assert run["plan"]["proposals"][0]["prior"] == 93.9
    assert Cell.from_index(run["plan"]["proposals"][0]["cell_index"]) == RESIDUAL
