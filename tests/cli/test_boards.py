"""`automcu boards`, `board run` and `flash`, as a user types them, on virtual boards."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from automcu.boards.virtual import running_boards
from automcu.cli.app import app
from tests.cli.conftest import DEVICE

pytestmark = pytest.mark.usefixtures("own_cache")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@contextmanager
def served(*devices: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "automcu", "board", "run", *devices, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    try:
        started = json.loads(process.stdout.readline())["boards"]
        yield process, [board["url"] for board in started]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


def test_several_boards_run_are_listed_and_end_with_ctrl_c() -> None:
    with served("f407", "l4r5zi") as (process, urls):
        listed = json.loads(run("boards", "--json").stdout)["boards"]
        assert {board["url"]: board["devices"] for board in listed if board["virtual"]} == {
            urls[0]: ["stm32f407g-disc1"],
            urls[1]: [DEVICE],
        }
        assert {board["known_by"] for board in listed if board["virtual"]} == {"boot loader"}
        assert all(url.startswith("rfc2217://127.0.0.1:") for url in urls)
    assert process.returncode == 0
    assert running_boards() == ()


def test_a_running_board_is_flashed_and_then_known_by_its_firmware(tiny_project: Path) -> None:
    with served(DEVICE) as (_, (url,)):
        dry = run("flash", str(tiny_project), "--board", url, "--dry-run")
        assert dry.exit_code == 0
        assert "nothing done yet" in dry.stdout
        assert json.loads(run("boards", "--json").stdout)["boards"][0]["known_by"] == "boot loader"
        first = json.loads(run("flash", str(tiny_project), "--board", url, "--json").stdout)
        again = json.loads(run("flash", str(tiny_project), "--board", url, "--json").stdout)
        size = (tiny_project / "build/firmware.bin").stat().st_size
        assert (first["method"], first["written_bytes"]) == ("usart-bootloader", size)
        assert (again["written_bytes"], again["kept_bytes"]) == (0, size)
        (board,) = json.loads(run("boards", "--json").stdout)["boards"]
        assert (board["known_by"], board["devices"]) == ("firmware", [DEVICE])
        assert board["identity"]["model_hash"] == "0123456789abcdef"


def test_a_firmware_that_was_changed_is_flashed_with_a_warning(
    tiny_project: Path, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(tiny_project, tmp_path / "project"))
    image = project / "build/firmware.bin"
    image.write_bytes(image.read_bytes() + b"\0\0\0\0")
    with served(DEVICE) as (_, (url,)):
        flashed = run("flash", str(project), "--board", url, "--json")
    assert flashed.exit_code == 0
    (warning,) = json.loads(flashed.stdout)["warnings"]
    assert "firmware.bin is not verified" in warning
    assert warning in flashed.stderr


def test_a_way_that_the_board_does_not_have_is_wrong_use(tiny_project: Path) -> None:
    result = run("flash", str(tiny_project), "--board", "loop://", "--method", "esptool")
    assert result.exit_code == 2
    assert "swd, mass-storage, usart-bootloader" in result.stderr
    assert run("flash", str(tiny_project), "--board", "loop://", "--method", "magic").exit_code == 2


def test_flashing_a_virtual_board_that_does_not_run_says_how_to_start_one(
    tiny_project: Path,
) -> None:
    result = run("flash", str(tiny_project), "--board", "virtual")
    assert result.exit_code == 2
    assert "automcu board run" in result.stderr


def test_a_port_that_is_not_there_is_exit_code_3(tiny_project: Path) -> None:
    result = run("flash", str(tiny_project), "--board", "/dev/ttyNONE7")
    assert result.exit_code == 3
    assert "There is no port /dev/ttyNONE7" in result.stderr


def test_an_unbuilt_project_is_named(tiny_project: Path, tmp_path: Path) -> None:
    (tmp_path / "project.json").write_bytes((tiny_project / "project.json").read_bytes())
    result = run("flash", str(tmp_path), "--board", "loop://")
    assert result.exit_code == 2
    assert "automcu build" in result.stderr


def test_a_taken_port_for_a_virtual_board_is_an_error_and_not_a_traceback() -> None:
    with served("f407") as (_, (url,)):
        result = run("board", "run", "f407", "--port", url.rpartition(":")[2])
    assert result.exit_code == 3
    assert "did not start" in result.stderr
