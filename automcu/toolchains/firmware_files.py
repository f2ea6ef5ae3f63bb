"""The firmware's part of a compiled project: which C files a device needs."""

import re
from pathlib import Path

from automcu.errors import WrongInputError
from automcu.mcu import find_device
from automcu.mcu.profile import Device
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
_DEFAULT_NAME = "model"  # by which the firmware calls its network
_FUNCTIONS = ("arena", "input", "run", "output", "run_layer")
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
    files = _firmware_files(device, stack_bytes)
    for name in _every_name():  # those of another device; a user's own files stay
        (folder / name).unlink(missing_ok=True)
    for name, content in files.items():
        write_atomically(folder / name, content)
    if device.family == "esp32s3":
        _write_idf_application(project)


def _firmware_files(device: Device, stack_bytes: int) -> dict[str, bytes]:
    """What `PROJECT/firmware/` holds for a device, by file name."""
    return {
        **{source.name: source.read_bytes() for source in firmware_sources(device)},
        "board.h": render_board_header(device).encode(),
        "linker.ld": render_linker_script(device, stack_bytes).encode(),
    }


def board_of_firmware(project: Path) -> str | None:
    """The id of the board that `PROJECT/firmware/` was written for; None where there is none."""
    try:
        header = (project / "firmware/board.h").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    named = re.search(r'^#define BOARD_NAME "(.*)"$', header, re.M)
    return named.group(1) if named else "a board that board.h does not name"


def edited_firmware_file(project: Path, board: str) -> str | None:
    """A file of `PROJECT/firmware/` that is not as it is written for `board`; None if all are.

    Where nobody knows the board any more, no file can be told from an edited one.
    """
    try:
        files = _firmware_files(find_device(board), DEFAULT_STACK_BYTES)
    except WrongInputError:
        return "board.h"
    folder = project / "firmware"
    for name, content in files.items():
        if (folder / name).is_file() and (folder / name).read_bytes() != content:
            return name
    return None


def network_name(project: Path) -> str:
    """What the symbols of the project's network begin with.

    Raises:
        WrongInputError: the folder holds no network.
    """
    for header in sorted((project / "model").glob("*_layers.h")):
        name = header.name.removesuffix("_layers.h")
        if (project / f"model/{name}.h").is_file():
            return name
    raise WrongInputError(
        f"{project} holds no model/model.h. Compile a model into it first: automcu compile."
    )


def write_names(project: Path, folder: Path) -> None:
    """Write into `folder` headers by which the firmware knows a network of another name as `model`.

    A network that is called so has headers of its own; those of an earlier one go.
    """
    name = network_name(project)
    for file in ("model.h", "model_layers.h"):
        path = folder / file
        if name == _DEFAULT_NAME:
            path.unlink(missing_ok=True)
        else:
            write_atomically(path, _renaming_header(project / "model", name, file).encode())


def _renaming_header(model: Path, name: str, file: str) -> str:
    original = file.replace(_DEFAULT_NAME, name)
    prefix, guard = f"{name.upper()}_", f"FIRMWARE_{file.upper().replace('.', '_')}"
    lines = [f'#include "{original}"']
    if file == "model_layers.h":
        lines.append('#include "model.h"')
    else:
        lines.append("")
        macros = re.findall(rf"^#define {prefix}(\w+) ", (model / original).read_text(), re.M)
        lines += [f"#define MODEL_{macro} {prefix}{macro}" for macro in macros]
        lines += [f"#define model_{function} {name}_{function}" for function in _FUNCTIONS]
    return (
        f"/* Generated by automcu: the firmware's names for the network `{name}`. */\n"
        f"#ifndef {guard}\n#define {guard}\n\n" + "\n".join(lines) + "\n\n#endif\n"
    )


def _write_idf_application(project: Path) -> None:
    """Write `PROJECT/esp-idf/`, which builds the same firmware and network with ESP-IDF."""
    template = resource_folder("firmware") / "ports/esp_idf"
    for source in sorted(path for path in template.rglob("*") if path.is_file()):
        write_atomically(project / "esp-idf" / source.relative_to(template), source.read_bytes())
