"""What a linked firmware takes, read from its ELF, and the image that is flashed."""

import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from automcu.errors import ToolError, WrongInputError
from automcu.records import Record
from automcu.toolchains.compiler import ToolFailedError, run_tool

_ARENA_SECTION = ".model_arena"
_WEIGHTS_SECTION = ".model_weights"
_ERASED = 0xFF


class ElfSizes(Record):
    """Bytes per loaded section and their totals.

    `flash_bytes` is the length of the image, gaps included; `ram_bytes` is all reserved RAM:
    data, zeroed data, arena and stack.
    """

    sections: dict[str, int]
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int
    weight_bytes: int


def elf_sizes(path: Path) -> ElfSizes:
    """Read the sizes of the firmware at `path`.

    Raises:
        WrongInputError: the file is missing or is not an ELF file.
    """
    with _open(path) as file:
        elf = _parse(file, path)
        sections = {section.name: section["sh_size"] for section in _loaded_sections(elf)}
        ram = sum(
            section["sh_size"]
            for section in _loaded_sections(elf)
            if section["sh_flags"] & SH_FLAGS.SHF_WRITE or section["sh_type"] == "SHT_NOBITS"
        )
        return ElfSizes(
            sections=sections,
            flash_bytes=len(_image(elf)),
            ram_bytes=ram,
            arena_bytes=sections.get(_ARENA_SECTION, 0),
            weight_bytes=sections.get(_WEIGHTS_SECTION, 0),
        )


def flash_image(path: Path) -> bytes:
    """Return the bytes to write to flash, from the lowest load address of the firmware at `path`.

    Raises:
        WrongInputError: the file is missing or is not an ELF file.
    """
    with _open(path) as file:
        return _image(_parse(file, path))


def _open(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise WrongInputError(
            f"{path} cannot be read ({error.strerror}). Build the project again."
        ) from error


def _parse(file: Any, path: Path) -> Any:
    try:
        return ELFFile(file)
    except ELFError as error:
        raise WrongInputError(f"{path} is not an ELF file. Build the project again.") from error


def _loaded_sections(elf: Any) -> list[Any]:
    return [
        section
        for section in elf.iter_sections()
        if section["sh_flags"] & SH_FLAGS.SHF_ALLOC and section["sh_size"] > 0
    ]


def _image(elf: Any) -> bytes:
    """Lay out what sections hold by load address; linkers' segments also hold file headers."""
    pieces = {
        load_address(elf, section): section.data()
        for section in _loaded_sections(elf)
        if section["sh_type"] != "SHT_NOBITS"
    }
    if not pieces:
        return b""
    start = min(pieces)
    image = bytearray([_ERASED]) * (max(at + len(data) for at, data in pieces.items()) - start)
    for address, data in pieces.items():
        image[address - start : address - start + len(data)] = data
    return bytes(image)


def load_address(elf: Any, section: Any) -> int:
    """Where a section is stored, from where start-up code may copy it elsewhere."""
    for segment in elf.iter_segments("PT_LOAD"):
        if segment.section_in_segment(section):
            offset: int = section["sh_offset"] - segment["p_offset"]
            return int(segment["p_paddr"]) + offset
    return int(section["sh_addr"])


def esp32_image(elf: Path, chip: str) -> bytes:
    """Return the image that the mask ROM of a `chip` loads.

    esptool is run as a program of its own (it is GPL, this is not).

    Raises:
        ToolError: esptool is not installed, or refuses the file.
    """
    if importlib.util.find_spec("esptool") is None:
        raise ToolError(
            "ESP32 images need esptool, which is not installed. pip install 'automcu[esp32]'"
        )
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "firmware.bin"
        command = [
            *(sys.executable, "-m", "esptool", "--chip", chip, "elf2image"),
            *("--output", str(image), str(elf.absolute())),
        ]
        try:
            run_tool(command, elf.parent)
        except ToolFailedError as failure:
            raise ToolError(
                f"esptool makes no image of {elf.name}: {failure}. "
                "Generate the project again; if it stays, report the model as a bug."
            ) from failure
        return image.read_bytes()
