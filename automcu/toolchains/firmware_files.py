"""The firmware's part of a compiled project: which C files a device needs, and its board.h."""

import re
import shutil
from pathlib import Path

from automcu.devices.profile import Device
from automcu.errors import WrongInputError
from automcu.records import write_atomically
from automcu.resources import resource_folder
from automcu.toolchains.linker_script import DEFAULT_STACK_BYTES, render_linker_script

_CLOCK_SOURCE = {
    "stm32f4": "clock_f4_f7.c",
    "stm32f7": "clock_f4_f7.c",
    "stm32l4": "clock_l4.c",
    "stm32h7": "clock_h7.c",
    "stm32u5": "clock_u5.c",
}
_LINE_LETTERS = len("STM32F407")  # of a part number; what follows is package and memory size
# Packages with the step-down converter (ordering information in the datasheets of L4+ and U5).
_STEP_DOWN_SUFFIX = "Q"
_PIN = re.compile(r"P([A-K])(\d{1,2})")


def firmware_sources(device: Device) -> list[Path]:
    """Return the C sources and headers of the firmware for `device`, in a stable order.

    File names are unique: a project holds them all in one folder.

    Raises:
        WrongInputError: there is no firmware for the device's family yet.
    """
    if device.family == "esp32s3":
        return _sources_in("runtime", "ports/esp32s3")
    if device.family not in _CLOCK_SOURCE:
        raise WrongInputError(
            f"There is no firmware for {device.id}'s family {device.family} yet. "
            f"Choose a device of one of: {', '.join(_CLOCK_SOURCE)}, esp32s3."
        )
    files = _sources_in("runtime", "ports/cortex_m", "ports/stm32")
    return [path for path in files if _is_needed(path, device)]


def _sources_in(*folders: str) -> list[Path]:
    firmware = resource_folder("firmware")
    return [path for folder in folders for path in sorted((firmware / folder).glob("*.[chS]"))]


def _is_needed(path: Path, device: Device) -> bool:
    if path.name.startswith("clock_"):
        return path.name == _CLOCK_SOURCE[device.family]
    if path.name == "caches.c":
        return device.core == "cortex-m7"
    return True


def write_firmware(project: Path, device: Device, stack_bytes: int = DEFAULT_STACK_BYTES) -> None:
    """Write `PROJECT/firmware/`: the sources for `device`, its board.h and its linker.ld.

    For an ESP32-S3 there is also `PROJECT/esp-idf/`, an ESP-IDF application around them.

    Raises:
        WrongInputError: there is no firmware for the device, or the folder cannot be written to.
    """
    folder = project / "firmware"
    rendered = {
        "board.h": render_board_header(device),
        "linker.ld": render_linker_script(device, stack_bytes),
    }
    shutil.rmtree(folder, ignore_errors=True)
    for source in firmware_sources(device):
        write_atomically(folder / source.name, source.read_bytes())
    for name, text in rendered.items():
        write_atomically(folder / name, text.encode())
    if device.family == "esp32s3":
        _write_idf_application(project)


def _write_idf_application(project: Path) -> None:
    """Write `PROJECT/esp-idf/`, which builds the same firmware and network with ESP-IDF."""
    template = resource_folder("firmware") / "ports/esp_idf"
    for source in sorted(path for path in template.rglob("*") if path.is_file()):
        write_atomically(project / "esp-idf" / source.relative_to(template), source.read_bytes())


def render_board_header(device: Device) -> str:
    """Return board.h: everything that the ports need to know of one board, as macros.

    Raises:
        WrongInputError: a pin in the profile is not written like "PB10".
    """
    if device.family == "esp32s3":
        return _rendered_header(device, _esp32s3_macros(device))
    serial = device.serial
    macros = {
        "BOARD_NAME": f'"{device.id}"',
        f"BOARD_FAMILY_{device.family.upper()}": "1",
        f"BOARD_LINE_{device.mcu[:_LINE_LETTERS].upper()}": "1",
        "BOARD_CORE_HZ": f"{device.clock_hz}u",
        "BOARD_FLASH_WAIT_STATES": f"{device.flash_timing.wait_states}u",
        "BOARD_OSCILLATOR_HZ": f"{device.oscillator.hz}u",
        f"BOARD_OSCILLATOR_IS_{device.oscillator.source.upper()}": "1",
        "BOARD_USART_BASE": f"0x{serial.address:08X}u",
        "BOARD_USART_CLOCK_ENABLE": f"{serial.peripheral}_CLOCK_ENABLE",
        "BOARD_USART_CLOCK_BIT": f"{serial.peripheral}_CLOCK_BIT",
        "BOARD_USART_BUS_DIVIDER": f"{serial.peripheral}_BUS_DIVIDER",
        "BOARD_BAUD_RATE": f"{serial.baud_rate}u",
        **_pin_macros("TRANSMIT", serial.transmit_pin, device),
        **_pin_macros("RECEIVE", serial.receive_pin, device),
        "BOARD_ALTERNATE_FUNCTION": f"{serial.alternate_function}u",
    }
    if device.flashing.bootloader_address is not None:
        macros["BOARD_BOOT_LOADER_ADDRESS"] = f"0x{device.flashing.bootloader_address:08X}u"
    if serial.peripheral.startswith("LPUART"):
        macros["BOARD_USART_IS_LOW_POWER"] = "1"
    if device.core == "cortex-m7":
        macros["BOARD_HAS_CACHES"] = "1"
    if device.mcu.endswith(_STEP_DOWN_SUFFIX):
        macros["BOARD_HAS_STEP_DOWN"] = "1"
    return _rendered_header(device, macros)


def _esp32s3_macros(device: Device) -> dict[str, str]:
    return {
        "BOARD_NAME": f'"{device.id}"',
        f"BOARD_FAMILY_{device.family.upper()}": "1",
        "BOARD_UART_BASE": f"0x{device.serial.address:08X}u",
        "BOARD_BAUD_RATE": f"{device.serial.baud_rate}u",
    }


def _rendered_header(device: Device, macros: dict[str, str]) -> str:
    lines = [f"#define {name} {value}" for name, value in macros.items()]
    return (
        f"/* {device.name} ({device.mcu}). Generated by automcu from the profile {device.id}. */\n"
        "#ifndef BOARD_H\n#define BOARD_H\n\n" + "\n".join(lines) + "\n\n#endif\n"
    )


def _pin_macros(role: str, pin: str, device: Device) -> dict[str, str]:
    match = _PIN.fullmatch(pin)
    if match is None:
        raise WrongInputError(
            f"{device.id}: serial pin {pin!r} is not an STM32 pin. Write it like PB10."
        )
    port, number = match.groups()
    return {
        f"BOARD_{role}_PORT": f"{ord(port) - ord('A')}u",
        f"BOARD_{role}_PIN": f"{int(number)}u",
    }
