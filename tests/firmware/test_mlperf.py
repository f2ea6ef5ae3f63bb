"""The MLPerf Tiny protocol beside the framed one, on the host and on a virtual board."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from automcu.boards.flashing import flash_image
from automcu.boards.link import open_link
from automcu.boards.port import open_port
from automcu.boards.virtual import virtual_board
from automcu.mcu import find_device
from benchmarks.small_project import small_project
from tests.firmware.mlperf_client import MlperfClient, ProtocolError

MODEL_BYTES = 64


@pytest.fixture
def process(host_program: Path) -> Iterator["subprocess.Popen[bytes]"]:
    running = subprocess.Popen(
        [str(host_program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    yield running
    running.kill()
    running.communicate()


@pytest.fixture
def client(process: "subprocess.Popen[bytes]") -> MlperfClient:
    assert process.stdin is not None
    assert process.stdout is not None
    return MlperfClient(process.stdin.write, process.stdout.readline)


def test_the_device_says_what_it_is(client: MlperfClient) -> None:
    assert client.name() == ("dut", "automcu")
    profile = client.profile()
    assert profile["model"] == "0123456789abcdef"
    assert profile["profile"].startswith("ULPMark for tinyML")


def test_an_input_is_loaded_and_inferred(client: MlperfClient) -> None:
    values = bytes(range(MODEL_BYTES))
    client.load(values)
    inference = client.infer(3, 2)
    assert inference.results == [value + 1.0 for value in range(MODEL_BYTES)]
    assert client.ask("results") == [f"m-results-[{','.join(f'{v + 1}.000' for v in values)}]"]


def test_time_stamps_add_up(client: MlperfClient) -> None:
    client.load(bytes(MODEL_BYTES))
    before = client.timestamp()
    assert client.infer(100, 0).microseconds == client.timestamp() - before


def test_runs_after_the_first_keep_its_results(client: MlperfClient) -> None:
    """The model overwrites its input, so that another run of it would give something else."""
    client.load(b"\x05" * MODEL_BYTES)
    assert client.infer(1, 10).results == [6.0] * MODEL_BYTES
    assert client.infer(5, 0).results == [6.0] * MODEL_BYTES


def test_negative_outputs_keep_their_sign(client: MlperfClient) -> None:
    client.load(b"\x80" * MODEL_BYTES)
    assert client.infer(1, 0).results == [-127.0] * MODEL_BYTES


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("cook", "Unknown command: cook"),
        ("", "Unknown command: "),
        ("db", "requires a subcommand"),
        ("db load", "db load takes 1 to 64 bytes"),
        ("db load 0", "db load takes 1 to 64 bytes"),
        ("db load 65", "db load takes 1 to 64 bytes"),
        ("db load 99999999999999999999", "db load takes 1 to 64 bytes"),
        ("db 00", "db load first"),
        ("infer 0", "iterations must be >0"),
        ("infer -1", "iterations must be >0"),
        ("infer 1 x", "warmup must be >=0"),
        ("results", "load an input and infer"),
        ("names", "Unknown command: names"),
    ],
)
def test_bad_commands_are_answered_with_an_error_and_ready(
    client: MlperfClient, command: str, message: str
) -> None:
    with pytest.raises(ProtocolError, match=message.replace("(", r"\(")):
        client.ask(command)
    assert client.name() == ("dut", "automcu")


@pytest.mark.parametrize("digits", ["0g", "012"])
def test_bad_digits_are_refused(client: MlperfClient, digits: str) -> None:
    client.ask("db load 4")
    with pytest.raises(ProtocolError, match="hex digit"):
        client.ask(f"db {digits}")


def test_digits_beyond_the_expected_are_not_looked_at(client: MlperfClient) -> None:
    client.ask("db load 2")
    assert client.ask("db 0102zz") == ["m-load-done"]


def test_line_ends_between_commands_do_no_harm(client: MlperfClient) -> None:
    assert client.ask("\r\nname") == ["m-name-dut-[automcu]"]


def test_frames_and_text_share_the_line(
    client: MlperfClient,
    process: "subprocess.Popen[bytes]",
    frame: Callable[[bytes], bytes],
    unframe: Callable[[bytes], bytes],
) -> None:
    """A frame may hold what would be a command, and begin with a letter."""
    assert process.stdin is not None
    assert process.stdout is not None
    client.load(bytes(MODEL_BYTES))
    client.infer(1, 0)
    text = b"name%db load 4%".ljust(MODEL_BYTES, b"!")
    for payload in (b"\x02\x01" + bytes(4) + text, b"\x02\x02\x01\x01\x01\x01" + text):
        process.stdin.write(b"\0" + frame(payload))
        answer = bytearray()
        while not answer.endswith(b"\0"):
            answer += process.stdout.read(1)
        assert unframe(bytes(answer))[:2] == bytes((0x82, payload[1]))
    assert client.name() == ("dut", "automcu")
    with pytest.raises(ProtocolError, match="load an input"):
        client.ask("results")  # the frame was in the way of the old ones


def test_a_virtual_board_answers_the_reference_s_bytes_and_its_cycles(tmp_path: Path) -> None:
    """Real outputs are the golden ones; time is that of the framed protocol's counter."""
    device = find_device("nucleo-l4r5zi")
    project = small_project(tmp_path / "project", device)
    with virtual_board(device) as url:
        flash_image(url, device, (project / "build/firmware.bin").read_bytes())
        with open_link(url) as link:
            cycles = link.benchmark(5)[-1]
        with np.load(project / "golden.npz") as golden, open_port(url, 115_200) as port:

            def read_line() -> bytes:
                line = b""
                while not line.endswith(b"\n"):
                    byte = port.read(1, 20.0)
                    assert byte, f"silence after {line!r}"
                    line += byte
                return line

            client = MlperfClient(port.write, read_line)
            client.load(golden["inputs"][0].tobytes())
            inference = client.infer(5, 1)
            header = (project / "model/model.h").read_text()
            scale, zero = (
                float(header.split(f"MODEL_OUTPUT_{name} ")[1].split("\n")[0].strip("()"))
                for name in ("SCALE", "ZERO_POINT")
            )
            expected = (golden["outputs"][0].reshape(-1) - zero) * scale
    assert inference.results == pytest.approx(expected.tolist(), abs=0.00051)
    assert inference.microseconds == pytest.approx(5 * cycles / 120, rel=0.02)
