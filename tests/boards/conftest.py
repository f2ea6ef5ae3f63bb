import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from automcu.boards.virtual import virtual_board
from automcu.mcu.profile import Device
from automcu.toolchains import find_compiler
from automcu.toolchains.build import flash_image as image_of_elf

KIB = 1024
USART = 0x4001_1000

# Core, part id, boot loader's address, flash sectors as (count, bytes)
_FAMILIES = {
    "stm32f4": ("cortex-m4", 0x413, 0x1FFF_0000, [(4, 16 * KIB), (1, 64 * KIB), (3, 128 * KIB)]),
    "stm32f7": ("cortex-m7", 0x449, 0x1FF0_0000, [(4, 32 * KIB), (3, 128 * KIB)]),
    "stm32l4": ("cortex-m4", 0x470, 0x1FFF_0000, [(128, 4 * KIB)]),
    "stm32h7": ("cortex-m7", 0x450, 0x1FF0_9800, [(4, 128 * KIB)]),
    "stm32u5": ("cortex-m33", 0x482, 0x0BF9_0000, [(64, 8 * KIB)]),
}


def make_device(family: str = "stm32f4", **changes: object) -> Device:
    """A made-up board of a family: 512 KiB of flash, 128 KiB of RAM, and a USART."""
    core, part, boot_loader, sectors = _FAMILIES[family]
    fields: dict[str, object] = {
        "id": f"test-{family}",
        "name": f"Test {family}",
        "mcu": family.upper(),
        "aliases": (),
        "core": core,
        "clock_hz": 100_000_000,
        "isa": ("dsp", "fpu"),
        "family": family,
        "oscillator": {"source": "internal", "hz": 16_000_000},
        "memory": (
            {
                "name": "flash",
                "kind": "flash",
                "address": 0x0800_0000,
                "size": 512 * KIB,
                "holds": ("code", "weights"),
            },
            {
                "name": "sram",
                "kind": "ram",
                "address": 0x2000_0000,
                "size": 128 * KIB,
                "holds": ("data", "stack", "arena"),
            },
        ),
        "flash_timing": {
            "wait_states": 5,
            "line_bytes": 16,
            "instruction_lines": 64,
            "data_lines": 8,
        },
        "serial": {
            "peripheral": "USART1",
            "address": USART,
            "transmit_pin": "PA9",
            "receive_pin": "PA10",
            "alternate_function": 7,
            "baud_rate": 115_200,
        },
        "usb": (),
        "flashing": {
            "methods": ("usart-bootloader",),
            "bootloader_device_id": part,
            "bootloader_address": boot_loader,
            "flash_sectors": [{"count": count, "bytes": size} for count, size in sectors],
        },
        "power": {"active_milliampere": 40.0, "supply_volt": 3.3},
        "sources": {},
    }
    return Device.model_validate({**fields, **changes})


@pytest.fixture(scope="session")
def device_of() -> Callable[..., Device]:
    return make_device


@pytest.fixture(scope="session")
def device() -> Device:
    return make_device()


@pytest.fixture
def board_url(device: Device) -> Iterator[str]:
    with virtual_board(device) as url:
        yield url


@pytest.fixture
def start_board() -> Callable[[Device], AbstractContextManager[str]]:
    return virtual_board


_LINKER_SCRIPT = """
MEMORY {
  FLASH (rx): ORIGIN = 0x08000000, LENGTH = 512K
  RAM (rwx): ORIGIN = 0x20000000, LENGTH = 128K
}
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > FLASH
  .data (NOLOAD) : { *(.data*) *(.bss*) *(COMMON) } > RAM
  /DISCARD/ : { *(.ARM.*) }
}
"""
_VECTORS = """
    .section .vectors, "a"
    .word 0x20020000, start
    .text
    .thumb_func
    .global start
start:
"""


class Builder:
    """Builds small programs with the compiler that users have."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def elf(self, source: str, core: str = "cortex-m4", suffix: str = ".c") -> Path:
        """Link a source that defines its own vectors."""
        self._count += 1
        stem = self._folder / f"program{self._count}"
        source_file = stem.with_suffix(suffix)
        source_file.write_text(source)
        script = self._folder / "program.ld"
        script.write_text(_LINKER_SCRIPT)
        compiler = find_compiler(core)
        subprocess.run(
            [
                *compiler.command,
                *compiler.machine_flags,
                *("-O2", "-ffreestanding", "-nostdlib", f"-Wl,-T,{script},--entry=0"),
                *(str(source_file), "-o", str(stem.with_suffix(".elf"))),
            ],
            check=True,
            env={**os.environ, **compiler.environment},
        )
        return stem.with_suffix(".elf")

    def image(self, source: str, core: str = "cortex-m4") -> bytes:
        """A flash image of assembly code that starts at reset."""
        unit = "fpv4-sp-d16" if core == "cortex-m4" else "fpv5-sp-d16"
        header = f"    .syntax unified\n    .thumb\n    .fpu {unit}\n{_VECTORS}"
        return image_of_elf(self.elf(f"{header}{source}\n", core, ".S"))

    def code(self, source: str, core: str = "cortex-m4") -> bytes:
        """Machine code of a few instructions, without vectors."""
        return self.image(source, core)[8:]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("programs"))
