"""Boards of a farm: a played client; and labgrid's own programs, where they are installed."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from automcu.boards.discovery import acquired_place, board_url
from automcu.boards.flashing import flash_image
from automcu.boards.link import open_link
from automcu.boards.virtual import virtual_board
from automcu.errors import BoardError, ToolError, WrongInputError
from automcu.mcu import find_device
from benchmarks.small_project import small_project

EXPORTER = Path(__file__).parents[2] / "docs/labgrid/exporter.yaml"
DEVICE = find_device("nucleo-l4r5zi")
PROGRAMS = ("labgrid-client", "labgrid-coordinator", "labgrid-exporter")
SHOWN = """Place 'board':
  acquired: host/user
Acquired resource 'NetworkSerialPort' (bench/board/NetworkSerialPort/NetworkSerialPort):
  {'acquired': 'board',
   'params': {'extra': {'proxy': 'localhost', 'proxy_required': False},
              'host': '127.0.0.1',
              'port': 4100,
              'protocol': 'rfc2217',
              'speed': 115200}}
"""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A client that answers `show` from a file, and logs what it was asked."""
    program = tmp_path / "labgrid-client"
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$3" >> {tmp_path}/log\n'
        f'if [ -f {tmp_path}/"refuse-$3" ]; then echo "{{}} is taken by alice" >&2; exit 1; fi\n'
        f'[ "$3" = show ] && cat {tmp_path}/shown\nexit 0\n'
    )
    program.chmod(0o755)
    (tmp_path / "shown").write_text(SHOWN)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def asked(client: Path) -> list[str]:
    return (client / "log").read_text().split()


def test_a_place_is_held_while_its_board_is_used(client: Path) -> None:
    with board_url("labgrid:board", DEVICE) as url:
        assert url == "rfc2217://127.0.0.1:4100"
        assert asked(client) == ["acquire", "show"]
    assert asked(client) == ["acquire", "show", "release"]


def test_a_raw_port_is_a_socket(client: Path) -> None:
    (client / "shown").write_text(SHOWN.replace("rfc2217", "raw"))
    with acquired_place("board") as url:
        assert url == "socket://127.0.0.1:4100"


def test_a_place_is_released_when_the_board_fails(client: Path) -> None:
    with pytest.raises(BoardError, match="gone"), acquired_place("board"):
        raise BoardError("The board is gone.")
    assert asked(client)[-1] == "release"


def test_a_place_that_someone_else_has_is_said_with_the_reason(client: Path) -> None:
    (client / "refuse-acquire").touch()
    with (
        pytest.raises(BoardError, match=r"could not acquire the place board \(.*taken by alice"),
        acquired_place("board"),
    ):
        pass
    assert asked(client) == ["acquire"]


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ("Place 'board':\n  acquired: host/user\n", "has no NetworkSerialPort"),
        (SHOWN.replace("_required': False", "_required': True"), "through SSH only"),
    ],
)
def test_a_place_without_a_port_that_can_be_reached_is_an_error_and_released(
    client: Path, shown: str, message: str
) -> None:
    (client / "shown").write_text(shown)
    with pytest.raises(BoardError, match=message), acquired_place("board"):
        pass
    assert asked(client)[-1] == "release"


def test_a_missing_program_or_name_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WrongInputError, match="needs a place"), acquired_place(""):
        pass
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="pipx install labgrid"), acquired_place("board"):
        pass


@pytest.mark.skipif(
    any(shutil.which(name) is None for name in PROGRAMS),
    reason="labgrid is not on the PATH; it needs an environment of its own (pipx install labgrid)",
)
def test_the_documented_exporter_shares_a_virtual_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        coordinator = f"127.0.0.1:{free_port()}"
        monkeypatch.setenv("LG_COORDINATOR", coordinator)
        served = stack.enter_context(virtual_board(DEVICE, protocol="rfc2217"))
        port = served.rpartition(":")[2]
        exporter = tmp_path / "exporter.yaml"
        exporter.write_text(re.sub(r"port: 4100\n", f"port: {port}\n", EXPORTER.read_text()))
        stack.enter_context(program(tmp_path, "labgrid-coordinator", "-l", coordinator))
        wait_until(lambda: client_command("places").returncode == 0)
        stack.enter_context(
            program(
                tmp_path,
                "labgrid-exporter",
                "--name",
                "bench",
                "--hostname",
                "127.0.0.1",
                str(exporter),
            )
        )
        client_command("create")
        client_command("add-match", f"bench/{DEVICE.id}/NetworkSerialPort")
        wait_until(lambda: f"bench/{DEVICE.id}" in client_command("resources").stdout)
        project = small_project(tmp_path / "project", DEVICE)
        url = stack.enter_context(board_url("labgrid:farm", DEVICE))
        assert url == served
        with pytest.raises(BoardError, match="could not acquire"), acquired_place("farm"):
            pass
        flash_image(url, DEVICE, (project / "build/firmware.bin").read_bytes())
        with open_link(url) as link:
            assert link.identify().board == DEVICE.id


def client_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["labgrid-client", "-p", "farm", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline, "labgrid did not come up"
        time.sleep(0.3)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def program(folder: Path, *command: str) -> Iterator[None]:
    """A server that runs as long as the block, and leaves its files in a folder."""
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)
