"""`automcu devices new PART`, and that what it writes can be used at once."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from automcu.cli.app import app

CELL = "|nor_conv_1x1~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|"
TINY = ("--stem-channels", "4", "--cells-per-stage", "1", "--resolution", "8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUTOMCU_PROFILES", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_a_new_parts_profile_is_used_at_once(folder: Path) -> None:
    written = json.loads(run("devices", "new", "STM32F429ZIT6", "--json").stdout)
    assert Path(written["path"]) == folder / "stm32f429zit6.toml"
    assert "copied from" in written["sources"]["latency"]
    checked = run("check", CELL, "--device", "stm32f429zit6", *TINY, "--json")
    assert checked.exit_code == 0, checked.stderr
    assert json.loads(checked.stdout)["device"] == "stm32f429zit6"


def test_a_profile_that_is_there_is_not_overwritten(folder: Path) -> None:
    (folder / "stm32f429zit6.toml").write_text("mine")
    result = run("devices", "new", "STM32F429ZIT6")
    assert result.exit_code == 2
    assert (folder / "stm32f429zit6.toml").read_text() == "mine"


def test_a_wrong_part_brings_the_nearest_names(folder: Path) -> None:
    result = run("devices", "new", "stm32f429zi")
    assert result.exit_code == 2
    assert "STM32F429ZIT6" in result.stderr
    assert not list(folder.iterdir())


def test_new_without_a_part_and_two_boards_are_wrong_use(folder: Path) -> None:
    assert "Which part" in run("devices", "new").stderr
    assert run("devices", "f407", "f746").exit_code == 2
