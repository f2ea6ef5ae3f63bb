import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from automcu.boards.flashing import flash_image
from automcu.boards.port import Port, open_port
from automcu.boards.virtual import virtual_board
from automcu.errors import BoardError
from automcu.mcu import Device, find_device
from automcu.toolchains.build import flash_image as image_of_elf
from tests.boards.conftest import Builder
from tests.boards.programs import ECHO

StartBoard = Callable[[Device], AbstractContextManager[str]]


@pytest.fixture(scope="module")
def echo(build: Builder) -> bytes:
    return image_of_elf(build.elf(ECHO))


@pytest.fixture(scope="module")
def echo_url(device: Device, echo: bytes) -> Iterator[str]:
    with virtual_board(device) as url:
        flash_image(url, device, echo)
        yield url


def ask(port: Port, question: bytes, answer_bytes: int | None = None) -> bytes:
    port.write(question)
    return port.read(len(question) if answer_bytes is None else answer_bytes, 10.0)


def test_a_flashed_program_runs_and_answers(echo_url: str) -> None:
    with open_port(echo_url, 115_200) as port:
        assert ask(port, b"ABC") == b"BCD"
        assert ask(port, bytes(range(98)) * 40) == bytes(range(1, 99)) * 40


def test_a_host_that_comes_back_finds_the_program_still_running(echo_url: str) -> None:
    with open_port(echo_url, 115_200) as port:
        before = ask(port, b"n")[0]
    with open_port(echo_url, 115_200) as port:
        assert ask(port, b"n")[0] == before + 1


def test_a_second_host_is_turned_away_and_the_first_not_disturbed(echo_url: str) -> None:
    with open_port(echo_url, 115_200) as first:
        assert ask(first, b"A") == b"B"
        with (
            pytest.raises(BoardError, match="is gone"),
            open_port(echo_url, 115_200) as second,
        ):
            ask(second, b"A")
        assert ask(first, b"A") == b"B"


def test_an_idle_board_uses_next_to_no_processor_time(device: Device, echo: bytes) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("processor time of another process is read from /proc")
    with started(device) as (process, url):
        flash_image(url, device, echo)
        with open_port(url, 115_200) as port:
            assert ask(port, b"A") == b"B"
            before = processor_seconds(process.pid)
            time.sleep(2)
            assert processor_seconds(process.pid) - before < 0.3


def test_a_reset_starts_the_program_again_and_keeps_memory(echo_url: str) -> None:
    with open_port(echo_url, 115_200) as port:
        before = ask(port, b"n")[0]
        port.write(b"r")
        assert ask(port, b"n")[0] == before + 1


def test_the_program_can_hand_over_to_the_boot_loader(
    start_board: StartBoard, device: Device, echo: bytes
) -> None:
    with start_board(device) as url:
        flash_image(url, device, echo)
        with open_port(url, 115_200) as port:
            assert ask(port, b"A") == b"B"
            port.write(b"b")
            assert ask(port, b"\x7f") == b"\x79"
        flash_image(url, device, echo)


def test_a_fault_is_reported_drops_the_host_and_leaves_the_boot_loader(
    device: Device, echo: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with virtual_board(device) as url:
        flash_image(url, device, echo)
        with open_port(url, 115_200) as port, pytest.raises(BoardError, match="is gone"):
            ask(port, b"f", 1)
        with open_port(url, 115_200) as port:
            assert ask(port, b"\x7f") == b"\x79"
    reported = capfd.readouterr().err
    assert "test-stm32f4: the program faulted" in reported
    assert "0x60000000" in reported
    assert "at 0x0800" in reported


def test_starting_erased_flash_is_a_fault_and_not_the_end_of_the_board(
    start_board: StartBoard, device: Device, capfd: pytest.CaptureFixture[str]
) -> None:
    with start_board(device) as url:
        with open_port(url, 115_200) as port:
            assert ask(port, b"\x7f") == b"\x79"
            assert ask(port, b"\x21\xde", 1) == b"\x79"
            port.write(b"\x08\x00\x00\x00\x08")
            with pytest.raises(BoardError, match="is gone"):
                port.read(2, 5.0)
        with open_port(url, 115_200) as port:
            assert ask(port, b"\x7f") == b"\x79"
    assert "the program faulted" in capfd.readouterr().err


def test_the_board_ends_with_its_block(device: Device) -> None:
    with virtual_board(device) as url:
        pass
    with pytest.raises(BoardError, match="Nothing listens"):
        open_port(url, 115_200)


def test_the_board_ends_when_its_user_is_interrupted(device: Device) -> None:
    seen = ""
    with pytest.raises(KeyboardInterrupt), virtual_board(device) as url:
        seen = url
        raise KeyboardInterrupt
    with pytest.raises(BoardError, match="Nothing listens"):
        open_port(seen, 115_200)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
def test_the_board_dies_with_a_parent_that_is_killed(device: Device, echo: bytes) -> None:
    script = f"""
import time
from automcu.boards.virtual import virtual_board
from automcu.mcu.profile import Device
with virtual_board(Device.model_validate_json({device.model_dump_json()!r})) as url:
    print(url, flush=True)
    time.sleep(100)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    url = parent.stdout.readline().strip()
    flash_image(url, device, echo)  # it runs code now, which must not keep it alive
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while listens(url):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_command_serves_a_device_by_name_on_a_chosen_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number = probe.getsockname()[1]
    process = subprocess.Popen(
        [*COMMAND, "--device", "stm32f407g-disc1", "--port", str(number)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == f"socket://127.0.0.1:{number}"
        with open_port(f"socket://127.0.0.1:{number}", 115_200) as port:
            assert ask(port, b"\x7f") == b"\x79"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def test_the_command_names_an_unknown_device() -> None:
    result = subprocess.run(
        [*COMMAND, "--device", "no-such-board"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "no-such-board" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_device_without_a_virtual_board_is_refused_with_the_next_step() -> None:
    with (
        pytest.raises(BoardError, match=r"no virtual board for .* --board PORT"),
        virtual_board(find_device("esp32-s3-devkitc-1")),
    ):
        pass


COMMAND = [sys.executable, "-m", "automcu.boards.virtual"]


@contextmanager
def started(device: Device) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A board whose process the test can look at."""
    process = subprocess.Popen(
        [*COMMAND, "--device", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(device.model_dump(mode="json")) + "\n")
    process.stdin.flush()
    yield process, process.stdout.readline().strip()
    process.communicate(timeout=10)  # closes its standard input, at which it ends


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def listens(url: str) -> bool:
    host, _, number = url.removeprefix("socket://").partition(":")
    try:
        socket.create_connection((host, int(number)), timeout=1).close()
    except OSError:
        return False
    return True
