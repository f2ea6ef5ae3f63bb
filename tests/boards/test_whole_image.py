"""Whole images in Espressif's QEMU: a program in its place that has its options, not itself.

Behind it `labwired` runs the linked ELF, so that what answers is the firmware. That Espressif's own
program boots the image has not been tried.
"""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from automcu.boards.bench import bench_project
from automcu.boards.xtensa import answers_of_whole_image, can_emulate, espressif_qemu
from automcu.errors import BoardError
from automcu.mcu import Device, find_device
from benchmarks.small_project import small_project

STAND_IN = """\
#!{python}
import re, select, socket, sys

if sys.argv[1:] == ["-machine", "help"]:
    print("esp32s3              Espressif ESP32S3 machine")
    sys.exit()
options = " ".join(sys.argv[1:])
assert "-machine esp32s3" in options, options
flash = open(re.search(r"file=([^,]+),if=mtd,format=raw", options)[1], "rb").read()
image = open({image!r}, "rb").read()
if len(flash) != 8 << 20 or flash.rstrip(b"\\xff") != image.rstrip(b"\\xff"):
    sys.exit("not the image")
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(re.search(r"tcp:127.0.0.1:(\\d+),server=on", options)[1])))
server.listen()
import labwired
board = labwired.Sim({elf!r}, chip="esp32s3")
line, _ = server.accept()
while True:
    if select.select([line], [], [], 0)[0]:
        got = line.recv(4096)
        if not got:
            sys.exit()
        board.send_bytes(got)
    board.run_for("2ms")
    line.sendall(board.read_uart_bytes())
"""


@pytest.fixture(scope="module")
def device() -> Device:
    return find_device("esp32-s3-devkitc-1")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, device: Device) -> Path:
    if not can_emulate() or importlib.util.find_spec("labwired") is None:
        pytest.skip("apt-get install qemu-system-misc gcc-xtensa-lx106, pip install labwired")
    pytest.importorskip("esptool")
    return small_project(tmp_path_factory.mktemp("whole_image") / "project", device, 2)


@pytest.fixture
def qemu(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    program = tmp_path / "qemu-system-xtensa"
    build = project / "build"
    program.write_text(
        STAND_IN.format(
            python=sys.executable,
            image=str(build / "firmware.bin"),
            elf=str(build / "firmware.elf"),
        )
    )
    program.chmod(0o755)
    # Behind Debian's program of the same name, which has no ESP32-S3.
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{tmp_path}")
    espressif_qemu.cache_clear()
    yield str(program)
    espressif_qemu.cache_clear()


def test_the_program_that_has_an_esp32_s3_is_found_behind_one_that_has_not(qemu: str) -> None:
    assert espressif_qemu("esp32s3") == qemu


def test_a_bench_boots_the_whole_image_where_it_can(
    project: Path, device: Device, qemu: str
) -> None:
    reported: list[str] = []
    found = bench_project(
        project, device, "virtual", progress=lambda what, *_: reported.append(what)
    )
    assert "booting the whole image" in reported
    assert (found.inputs, found.mismatches, found.latency_source) == (2, 0, "modelled")


def test_what_the_program_says_when_it_does_not_start_is_reported(
    device: Device, qemu: str
) -> None:
    inputs = np.zeros((1, 8), np.int8)
    with pytest.raises(BoardError, match=r"did not start the image: not the image\."):
        answers_of_whole_image(b"\xe9 another", device, inputs, qemu)
