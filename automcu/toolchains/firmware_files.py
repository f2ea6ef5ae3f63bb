"""The firmware's part of a compiled project: which C files a device needs."""

from pathlib import Path

from automcu.devices.profile import Device
from automcu.records import write_atomically
from automcu.resources import resource_folder
from automcu.toolchains.board_header import render_board_header
from automcu.toolchains.linker_script import DEFAULT_STACK_BYTES, render_linker_script

_CLOCK_SOURCE = {
    "stm32f4": "clock_f4_f7.c",
    "stm32f7": "clock_f4_f7.c",
    "stm32l4": "clock_l4.c",
    "stm32h7": "clock_h7.c",
    "stm32u5": "clock_u5.c",
}
_PORTS = {
    **dict.fromkeys(_CLOCK_SOURCE, ("ports/cortex_m", "ports/stm32")),
    **dict.fromkeys(("nrf52", "nrf53"), ("ports/cortex_m", "ports/nordic")),
    "esp32s3": ("ports/esp32s3",),
}


def firmware_sources(device: Device) -> list[Path]:
    """Return the C sources and headers of the firmware for `device`, in a stable order.

    File names are unique: a project holds them all in one folder.
    """
    return [
        path for path in _sources_in("runtime", *_PORTS[device.family]) if _is_needed(path, device)
    ]


def _sources_in(*folders: str) -> list[Path]:
    firmware = resource_folder("firmware")
    return [path for folder in folders for path in sorted((firmware / folder).glob("*.[chS]"))]


def _every_name() -> set[str]:
    """All file names that the firmware of any device has."""
    ports = {port for ports in _PORTS.values() for port in ports}
    sources = _sources_in("runtime", *sorted(ports))
    return {"board.h", "linker.ld", *(path.name for path in sources)}


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
        WrongInputError: the profile's pins or baud rate cannot be, or the folder cannot be written
            to.
    """
    folder = project / "firmware"
    rendered = {
        "board.h": render_board_header(device),
        "linker.ld": render_linker_script(device, stack_bytes),
    }
    for name in _every_name():  # those of another device; a user's own files stay
        (folder / name).unlink(missing_ok=True)
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
