"""`automcu calibrate`: what it tells, with the boards' work replaced."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import automcu.calibration
from automcu.calibration import Calibration, NetworkErrors
from automcu.cli.app import app
from automcu.mcu import Device, find_device
from automcu.mcu.find import fitted_path


def test_before_and_after_are_reported_and_the_figures_are_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quick(device: Device, board: str, chains: int, networks: int, progress) -> Calibration:  # type: ignore[no-untyped-def]
        progress(1, 1)
        return Calibration(
            device=device.id,
            board=board,
            networks=chains + networks,
            before=NetworkErrors(median_percent=9.5, worst_percent=20.25),
            after=NetworkErrors(median_percent=1.5, worst_percent=3.25),
            latency=device.latency[0],
        )

    monkeypatch.setattr(automcu.calibration, "calibrate", quick)
    monkeypatch.setenv("AUTOMCU_PROFILES", str(tmp_path))
    result = CliRunner().invoke(app, ["calibrate", "-d", "f407", "--quick", "--json"])
    document = json.loads(result.stdout)
    assert document["before"] == {"median_percent": 9.5, "worst_percent": 20.25}
    assert document["after"]["worst_percent"] == 3.25
    assert Path(document["path"]) == fitted_path(tmp_path, find_device("f407").id)
    assert find_device("f407").latency
    shown = CliRunner().invoke(app, ["calibrate", "-d", "f407", "--quick"]).stdout
    assert "median 1.50 % off" in shown


def test_a_fit_that_is_worse_than_what_is_there_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse(device: Device, board: str, *arguments: object) -> Calibration:
        return Calibration(
            device=device.id,
            board=board,
            networks=10,
            before=NetworkErrors(median_percent=0.8, worst_percent=2.0),
            after=NetworkErrors(median_percent=2.3, worst_percent=5.1),
            latency=device.latency[0],
        )

    monkeypatch.setattr(automcu.calibration, "calibrate", worse)
    monkeypatch.setenv("AUTOMCU_PROFILES", str(tmp_path))
    result = CliRunner().invoke(app, ["calibrate", "-d", "f407", "--quick"])
    assert result.exit_code == 0
    assert "stay as they were" in result.stdout
    assert not list(tmp_path.iterdir())


def test_an_unknown_device_is_wrong_use() -> None:
    assert CliRunner().invoke(app, ["calibrate", "-d", "toaster"]).exit_code == 2
