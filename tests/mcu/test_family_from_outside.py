"""A part family that automcu has never heard of: a Python file, a port in C, and a board's TOML."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from automcu.boards.bench import bench_project
from automcu.errors import WrongInputError
from automcu.mcu import find_device
from automcu.mcu.family import ENTRY_POINTS, families, family_named
from automcu.toolchains import firmware_sources
from benchmarks.small_project import small_project

FAMILY = """
from pathlib import Path

from automcu.mcu.core import CORTEX_M4
from automcu.mcu.family import Family, VirtualRegisters
from automcu.mcu.stm32 import NEW_USART

FAMILIES = (
    Family(
        name="acme1",
        core=CORTEX_M4,
        highest_hz=100_000_000,
        ports=("ports/cortex_m", Path(__file__).parent / "acme_port"),
        board_macros=lambda device: {
            "BOARD_CORE_HZ": f"{device.clock_hz}u",
            "BOARD_UART_BASE": f"0x{device.serial.address:08X}u",
        },
        virtual=VirtualRegisters(
            usart=NEW_USART,
            rom_address=0x0100_0000,
            rom_size=0x1000,
            flash_size_register=0x0100_0800,
        ),
    ),
)
"""
PORT = """
#include "board.h"
#include "cortex_m.h"
#include "port.h"
#include "start.h"

#define UART_CONTROL REGISTER(BOARD_UART_BASE + 0x00u)
#define UART_STATUS REGISTER(BOARD_UART_BASE + 0x1Cu)
#define UART_RECEIVED REGISTER(BOARD_UART_BASE + 0x24u)
#define UART_TRANSMIT REGISTER(BOARD_UART_BASE + 0x28u)
#define CONTROL_ON 0x0Du
#define STATUS_RECEIVED (1u << 5)
#define STATUS_TRANSMIT_EMPTY (1u << 7)

const char port_board_name[] = BOARD_NAME;

uint32_t port_start(void) {
    UART_CONTROL = CONTROL_ON;
    return BOARD_CORE_HZ;
}

uint8_t port_read(void) {
    while ((UART_STATUS & STATUS_RECEIVED) == 0) {
    }
    return (uint8_t)UART_RECEIVED;
}

void port_write(uint8_t byte) {
    while ((UART_STATUS & STATUS_TRANSMIT_EMPTY) == 0) {
    }
    UART_TRANSMIT = byte;
}

void port_enter_boot_loader(void) {
    system_reset();
}

void start_boot_loader_if_asked(void) {
}
"""
BOARD = """
id = "acme-board"
name = "ACME Board"
mcu = "ACME100"
aliases = []
family = "acme1"
core = "cortex-m4"
isa = ["dsp", "fpu"]
clock_hz = 80_000_000
usb = []

[oscillator]
source = "internal"
hz = 8_000_000

[[memory]]
name = "flash"
kind = "flash"
address = 0x0
size = 262_144
holds = ["code", "weights"]

[[memory]]
name = "sram"
kind = "ram"
address = 0x2000_0000
size = 65_536
holds = ["data", "stack", "arena"]

[flash_timing]
wait_states = 2
line_bytes = 16
instruction_lines = 8
data_lines = 0

[serial]
peripheral = "UART0"
address = 0x4000_1000
transmit_pin = "PA0"
receive_pin = "PA1"
alternate_function = 0
baud_rate = 115_200

[flashing]
methods = ["swd"]
flash_sectors = [{ count = 64, bytes = 4_096 }]

[power]
active_milliampere = 10.0
supply_volt = 3.0

[sources]
memory = "made up for this test"
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package that offers a family, and a folder with a profile of a board of it."""
    package, profiles = tmp_path / "site", tmp_path / "profiles"
    about = package / "acme-1.0.dist-info"
    for folder in (about, package / "acme_port", profiles):
        folder.mkdir(parents=True)
    (package / "acme_family.py").write_text(FAMILY)
    (package / "acme_port" / "acme_port.c").write_text(PORT)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\nacme = acme_family:FAMILIES\n")
    (profiles / "acme-board.toml").write_text(BOARD)
    monkeypatch.setenv("AUTOMCU_PROFILES", str(profiles))
    monkeypatch.setenv("PYTHONPATH", str(package))  # of the virtual board's process
    monkeypatch.syspath_prepend(str(package))
    families.cache_clear()
    yield package
    families.cache_clear()
    sys.modules.pop("acme_family", None)


def test_a_family_of_another_package_is_compiled_built_and_run_on_its_virtual_board(
    package: Path, tmp_path: Path
) -> None:
    device = find_device("ACME Board")
    assert package / "acme_port" / "acme_port.c" in firmware_sources(device)
    project = small_project(tmp_path / "project", device)
    assert "#define BOARD_UART_BASE 0x40001000u" in (project / "firmware/board.h").read_text()
    found = bench_project(project, device, "virtual", runs=3)
    assert (found.inputs, found.mismatches) == (4, 0)
    assert (found.identity.board, found.identity.clock_hz) == ("acme-board", 80_000_000)


def test_a_package_whose_families_cannot_be_loaded_is_named(package: Path) -> None:
    (package / "acme_family.py").write_text("FAMILIES = None\n")
    with pytest.raises(WrongInputError, match=r"acme_family:FAMILIES cannot be loaded"):
        family_named("acme1")


def test_without_the_package_the_error_names_the_families_there_are(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(package)])
    with pytest.raises(
        WrongInputError, match=r"acme-board.toml: family: expected one of .*stm32f4"
    ):
        find_device("acme-board")
