"""Every C file of the firmware is clean at -Wall -Wextra -Wconversion -Werror, for every board."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from automcu.errors import ToolError
from automcu.mcu import Device, find_device
from automcu.toolchains import find_compiler, firmware_sources
from automcu.toolchains.build import compile_command
from automcu.toolchains.compiler import run_tool

# One of each family, each kind of oscillator, and both lines of the STM32H7.
BOARDS = [
    find_device(name)
    for name in (
        "stm32f407g-disc1",
        "nucleo-f411re",
        "stm32f746g-disco",
        "nucleo-l4r5zi",
        "nucleo-h743zi2",
        "nucleo-h723zg",
        "nucleo-u575zi-q",
        "nrf5340-dk",
    )
]
CLANG = ("clang", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-fsyntax-only")
STRICTER = ("-Werror", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes", "-pedantic")


@pytest.mark.parametrize("device", BOARDS, ids=lambda device: device.id)
@pytest.mark.parametrize("kind", ["gcc", "zig"])
def test_a_cross_compiler_finds_nothing_to_warn_of(
    device: Device,
    kind: str,
    tmp_path: Path,
    write_tiny_project: Callable[[Path, Device], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AUTOMCU_COMPILER", kind)
    try:
        compiler = find_compiler(device.core)
    except ToolError as error:
        pytest.skip(str(error))
    project = write_tiny_project(tmp_path / "project", device)
    sources = [path.name for path in firmware_sources(device) if path.suffix == ".c"]
    assert sources
    for name in sources:
        command = compile_command(compiler, f"firmware/{name}", "out.o", STRICTER)
        run_tool(command, project, compiler.environment)


@pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed")
def test_clang_finds_nothing_to_warn_of_on_the_host(
    tmp_path: Path, write_tiny_project: Callable[[Path, Device], Path]
) -> None:
    project = write_tiny_project(tmp_path / "project", BOARDS[0])
    runtime = [p.name for p in (project / "firmware").glob("*.c") if p.name in RUNTIME_FILES]
    assert len(runtime) == len(RUNTIME_FILES)
    done = subprocess.run(
        [*CLANG, *STRICTER, "-Ifirmware", "-Imodel", *(f"firmware/{name}" for name in runtime)],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


RUNTIME_FILES = {"cobs.c", "commands.c", "crc32.c", "link.c", "main.c", "memory.c", "memory_use.c"}
