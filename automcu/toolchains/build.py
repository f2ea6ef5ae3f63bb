"""Compiling and linking a project folder into a firmware, and what it takes, read from its ELF."""

import hashlib
import importlib.util
import json
import re
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from pydantic import Field

from automcu.errors import AutomcuError, DoesNotFitError, ToolError, WrongInputError, file_problem
from automcu.mcu.family import family_of
from automcu.mcu.profile import Device
from automcu.records import Record, write_atomically
from automcu.toolchains.compiler import Compiler, ToolFailedError, find_compiler, run_tool
from automcu.toolchains.firmware import (
    ENTRY_POINT,
    board_of_firmware,
    edited_firmware_file,
    network_name,
    write_firmware,
    write_names,
)


class Verification(Record):
    """`inputs` of the `golden_inputs` went through the linked code, `how` says on what.

    `mismatches` is how many answers differed in any byte from the integer reference: 0, because a
    firmware that differs is not kept.
    """

    inputs: int
    golden_inputs: int
    mismatches: int
    how: str


class Unverified(Record):
    """Why nothing could be said about the linked code, as the end of "not verified: ..."."""

    reason: str


class Build(Record):
    """A linked firmware. Sizes in bytes, from the ELF; paths relative to the project folder.

    `verified` is the proof, `not_verified` the reason why there is none. `sha256` has the hashes of
    the ELF and the image by their paths, and `model_hash` is what project.json said of the network:
    so a firmware that was damaged, or that holds another network, is noticed before it is flashed.
    """

    device: str
    elf: str
    image: str
    compiler: str
    sections: dict[str, int]
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int
    weight_bytes: int
    verified: Verification | None = None
    not_verified: str | None = None
    sha256: dict[str, str] = Field(default_factory=dict)
    model_hash: str | None = None


# Runs the ELF at a path, and raises where it computes anything else than the reference.
Verify = Callable[[Path], Verification | Unverified]

OBJECTS = "build/objects"
_WORKERS = 2
_ELF = "build/firmware.elf"
_IMAGE = "build/firmware.bin"
_MAP = "build/firmware.map"
_RECORD = "build/build.json"
_LINKED = "build/linked.elf"  # not called firmware before it is verified
_CODE_SECTION = ".text"
# GNU ld: region `flash' overflowed by 12 bytes; lld: ... in region 'flash': overflowed by 12 bytes
_OVERFLOW = re.compile(r"region [`'](\w+)'(?::)? overflowed by (\d+) bytes")


def build_project(
    project: Path,
    device: Device,
    compiler: Compiler | None = None,
    verify: Verify | None = None,
) -> Build:
    """Compile everything in the folder `project` and link it for `device`.

    Writes build/firmware.elf, .bin, .map and build.json. The firmware's own files are added
    first if the folder has none. The same input gives the same ELF, wherever the folder lies.

    `verify` is shown the ELF before it gets its name. Where that raises, the ELF stays as
    build/linked.elf, and the folder holds no firmware any more, an older one neither.

    Raises:
        DoesNotFitError: a memory of the device is too small; the message says by how much.
        ToolError: no compiler, or it found an error; the message has the first one.
        WrongInputError: the folder holds no model, or firmware for another board.
    """
    compiler = compiler or find_compiler(device.core)
    network_name(project)  # before anything is written
    _prepare_firmware(project, device)
    write_names(project, project / "firmware")
    objects = _compile_all(project, compiler)
    write_atomically(project / _MAP, _link(project, device, compiler, objects).encode())
    proof = _verified(project, verify)
    (project / _LINKED).replace(project / _ELF)
    sizes = elf_sizes(project / _ELF)
    image = image_of(project / _ELF, device)
    write_atomically(project / _IMAGE, image)
    if family_of(device).esptool_chip:  # all is copied to RAM, code to one of its own
        ram = sum(size for name, size in sizes.sections.items() if name != _CODE_SECTION)
        sizes = sizes.model_copy(update={"flash_bytes": len(image), "ram_bytes": ram})
    build = Build(
        device=device.id,
        elf=_ELF,
        image=_IMAGE,
        compiler=str(compiler),
        **sizes.model_dump(),
        verified=proof if isinstance(proof, Verification) else None,
        not_verified=proof.reason if isinstance(proof, Unverified) else None,
        sha256={file: _sha256(project / file) for file in (_ELF, _IMAGE)},
        model_hash=_model_hash(project),
    )
    build.save(project / _RECORD)
    return build


def changed_files(project: Path, build: Build) -> tuple[str, ...]:
    """Which files of a build are no longer those that it wrote; one that is missing counts too."""
    return tuple(
        file
        for file, expected in build.sha256.items()
        if not (project / file).is_file() or _sha256(project / file) != expected
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _model_hash(project: Path) -> str | None:
    """The network's hash as project.json has it; None where there is no such file."""
    try:
        return str(json.loads((project / "project.json").read_text(encoding="utf-8"))["model_hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _prepare_firmware(project: Path, device: Device) -> None:
    """Write the firmware's own files unless they are there; those of another board are replaced.

    Raises:
        WrongInputError: they are for another board, and somebody changed them.
    """
    former = board_of_firmware(project)
    if former == device.id:
        return
    edited = former and edited_firmware_file(project, former)
    if edited:
        raise WrongInputError(
            f"{project / 'firmware'} was written for {former}, and the project is compiled for "
            f"{device.id}; {edited} was changed there. Keep what you changed, and delete the "
            "folder."
        )
    write_firmware(project, device)


def _verified(project: Path, verify: Verify | None) -> Verification | Unverified | None:
    """Have the linked ELF verified; without proof the folder holds no firmware."""
    if verify is None:
        return None
    try:
        return verify(project / _LINKED)
    except AutomcuError:
        for name in (_RECORD, _IMAGE, _ELF):
            (project / name).unlink(missing_ok=True)
        raise


def image_of(elf: Path, device: Device) -> bytes:
    """What is flashed: raw bytes, or for an ESP32 the segments with their addresses."""
    chip = family_of(device).esptool_chip
    return esp32_image(elf, chip) if chip else flash_image(elf)


def _compile_all(project: Path, compiler: Compiler) -> list[str]:
    """Compile each source to an object; returns the objects' paths relative to `project`."""
    sources = [
        path.relative_to(project)
        for folder in ("model", "firmware")
        for path in sorted((project / folder).glob("*.[cS]"))
    ]
    with ThreadPoolExecutor(_WORKERS) as pool:
        return list(pool.map(lambda source: _compile(project, source, compiler), sources))


def _compile(project: Path, source: Path, compiler: Compiler) -> str:
    target = Path(OBJECTS, source).with_suffix(".o")
    (project / target).parent.mkdir(parents=True, exist_ok=True)
    # Relative paths only, so that nothing in the object depends on where the project lies.
    command = compile_command(compiler, source.as_posix(), target.as_posix())
    try:
        run_tool(command, project, compiler.environment)
    except ToolFailedError as failure:
        _check_disk(failure, project / target)
        raise ToolError(
            f"{compiler} does not compile {source}: {failure}. "
            "Generate the project again; if it stays, report the model as a bug."
        ) from failure
    return target.as_posix()


def _check_disk(failure: ToolFailedError, written: Path) -> None:
    """Tell a full or read-only disk from a fault of the project."""
    problem = file_problem(failure, written)
    if problem:
        raise WrongInputError(problem) from failure


def compile_command(
    compiler: Compiler, source: str, target: str, flags: tuple[str, ...] = ()
) -> list[str]:
    """Return the command that compiles one source, run in the project folder."""
    return [
        *compiler.command,
        *compiler.compile_flags,
        *flags,
        "-Ifirmware",
        "-Imodel",
        "-c",
        source,
        "-o",
        target,
    ]


def _link(project: Path, device: Device, compiler: Compiler, objects: list[str]) -> str:
    """Link `objects`; returns the linker's map."""
    command = [
        *compiler.command,
        *compiler.machine_flags,
        "-nostdlib",
        "-Wl,-T,firmware/linker.ld",
        f"-Wl,--entry={ENTRY_POINT}",  # zig passes its own entry point over the script's
        "-Wl,--gc-sections",
        "-Wl,--print-map",  # zig refuses -Map
        *objects,
        "-o",
        _LINKED,
    ]
    try:
        return run_tool(command, project, compiler.environment)
    except ToolFailedError as failure:
        _check_disk(failure, project / _LINKED)
        overflow = _OVERFLOW.search(failure.output)
        if overflow:
            region, excess = overflow.groups()
            raise DoesNotFitError(
                f"The firmware needs {excess} bytes more of {region} than {device.id} has. "
                "Choose a smaller model or a larger device."
            ) from failure
        raise ToolError(
            f"{compiler} does not link the firmware: {failure}. "
            "Generate the project again; if it stays, report the model as a bug."
        ) from failure


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
