"""Xtensa code without a board, in one of two emulators that are both called qemu-system-xtensa.

Debian's runs a project's network: the kernels are the bytes that an ESP32-S3 would run, at other
addresses, and their cycles are counted by blocks; start-up, serial line and clock are left out. Its
lx106 has all instructions of call0 code but for the LX7's high product and division, which
firmware/ports/xtensa_sim emulates, uncounted.

Espressif's boots the whole flash image; `-machine help` tells which of the two knows an ESP32-S3.
The options are those of Espressif's documentation (ESP-IDF Programming Guide, tools, QEMU). Its
clock is not a core's: cycles come from elsewhere, only bytes from there.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray

from automcu.boards.link import open_link
from automcu.boards.timing.accounting import compiled_library
from automcu.boards.timing.xtensa_lx7 import SectionCounts, read_counts
from automcu.boards.virtual.process import is_taken
from automcu.errors import BoardError, ToolError
from automcu.mcu.core import XTENSA_LX7
from automcu.mcu.family import family_of
from automcu.mcu.profile import Device
from automcu.records import Record, resource_folder
from automcu.toolchains import Compiler, find_compiler, write_names
from automcu.toolchains.build import OBJECTS
from automcu.toolchains.compiler import ToolFailedError, run_tool

_QEMU = "qemu-system-xtensa"
_PLUGIN = Path(__file__).with_name("block_counts.c")
_SOURCES = (
    "ports/xtensa_sim/start.S",
    "ports/xtensa_sim/main.c",
    "ports/xtensa_sim/emulation.c",
    "ports/esp32s3/compiler_support.c",
    "runtime/memory.c",
    "runtime/memory_use.c",
)
_INCLUDES = ("ports/xtensa_sim", "runtime")
_WORD_BYTES = 4


class XtensaRun(Record, arbitrary_types_allowed=True):
    """What a network did: int8 outputs [n, bytes], counts of its layers, bytes of stack touched."""

    outputs: NDArray[np.int8]
    layers: tuple[SectionCounts, ...]
    stack_bytes: int

    @property
    def instructions(self) -> int:
        """Of one inference."""
        return sum(layer.instructions for layer in self.layers)

    @property
    def cycles(self) -> int:
        """Of one inference, by the rules of `timing.xtensa_lx7`."""
        return sum(layer.cycles for layer in self.layers)


def can_emulate() -> bool:
    """Whether QEMU and a compiler for Xtensa are on the PATH."""
    try:
        find_compiler(XTENSA_LX7.name)
    except ToolError:
        return False
    return shutil.which(_QEMU) is not None


def run_project(
    project: Path, inputs: NDArray[np.int8] | None = None, timeout_s: float = 120.0
) -> XtensaRun:
    """Run the network of a project folder on int8 `inputs` [n, ...], and count one more inference.

    Raises:
        ToolError: a compiler or QEMU is missing, or refuses its input.
        BoardError: the program did not end by itself.
    """
    compiler = find_compiler(XTENSA_LX7.name)
    sources = _network_sources(project)
    outputs = np.empty((0, 0), np.int8)
    with tempfile.TemporaryDirectory() as folder:
        work, counts = Path(folder), Path(folder) / "counts"
        if inputs is not None:
            elf = _link(project, work, compiler, inputs, sources)
            outputs = _outputs(_run(elf, None, timeout_s), len(inputs))
        stack = _run(_link(project, work, compiler, None, sources), counts, timeout_s)
        sections = read_counts(counts)
    return XtensaRun(
        outputs=outputs, layers=sections[1:-1], stack_bytes=int.from_bytes(stack, "little")
    )


def outputs_of_objects(
    project: Path, inputs: NDArray[np.int8], timeout_s: float = 120.0
) -> NDArray[np.int8]:
    """What the network's objects that a build left compute of int8 `inputs` [n, ...].

    Raises:
        ToolError: a compiler or QEMU is missing, or refuses its input.
        BoardError: the program did not end by itself.
    """
    objects = sorted((project / OBJECTS / "model").glob("*.o"))
    with tempfile.TemporaryDirectory() as folder:
        elf = _link(project, Path(folder), find_compiler(XTENSA_LX7.name), inputs, objects)
        return _outputs(_run(elf, None, timeout_s), len(inputs))


def _outputs(written: bytes, count: int) -> NDArray[np.int8]:
    """The outputs, int8 [n, bytes], in what the program wrote: a word about the stack follows."""
    outputs = np.frombuffer(written[:-_WORD_BYTES], np.int8)
    return outputs.reshape(count, len(outputs) // max(count, 1))


def _network_sources(project: Path) -> list[Path]:
    return sorted((project / "model").glob("*.c"))


def differing_bytes(project: Path) -> int:
    """How many bytes of the golden outputs the network computes otherwise."""
    with np.load(project / "golden.npz") as golden:
        inputs, outputs = golden["inputs"], golden["outputs"]
    found = run_project(project, inputs).outputs
    return int(np.count_nonzero(found != outputs.reshape(found.shape)))


def _link(
    project: Path,
    work: Path,
    compiler: Compiler,
    inputs: NDArray[np.int8] | None,
    network: Sequence[Path],
) -> Path:
    """Link the network, sources or objects, with a main program that runs it on `inputs`."""
    (work / "golden.h").write_text(_golden_header(inputs))
    write_names(project, work)
    firmware = resource_folder("firmware")
    includes = (work, project / "model", *(firmware / folder for folder in _INCLUDES))
    sources = [*(firmware / name for name in _SOURCES), *network]
    elf = work / "model.elf"
    command = [
        *compiler.command,
        *compiler.compile_flags,
        *(f"-I{folder.absolute()}" for folder in includes),
        *("-nostdlib", "-T", str((firmware / "ports/xtensa_sim/sim.ld").absolute())),
        *(str(source.absolute()) for source in sources),
        *("-o", str(elf)),
    ]
    try:
        run_tool(command, work, compiler.environment)
    except ToolFailedError as failure:
        raise ToolError(
            f"{compiler} does not build the network for QEMU: {failure}. Report this as a bug."
        ) from failure
    return elf


def _run(elf: Path, counts: Path | None, timeout_s: float) -> bytes:
    """What the program writes; with `counts`, executed blocks are written to that file."""
    qemu = shutil.which(_QEMU)
    if qemu is None:
        raise ToolError(
            f"{_QEMU} is not on the PATH. Install it (Debian and Ubuntu: apt-get install "
            "qemu-system-misc)."
        )
    command = [
        *(qemu, "-M", "sim", "-cpu", str(XTENSA_LX7.qemu), "-semihosting", "-display", "none"),
        *("-monitor", "none", "-serial", "none", "-kernel", str(elf)),
        *(("-plugin", _plugin_argument(elf, counts)) if counts else ()),
    ]
    try:
        done = subprocess.run(command, timeout=timeout_s, check=False, capture_output=True)
    except subprocess.TimeoutExpired as error:
        raise BoardError(
            f"The network did not end within {timeout_s:g} s in QEMU. Give it more time."
        ) from error
    if done.returncode:
        raise BoardError(
            f"The network stopped with code {done.returncode} in QEMU "
            f"({done.stderr.decode(errors='replace').strip()}). Report this as a bug."
        )
    return done.stdout


def _plugin_argument(elf: Path, counts: Path) -> str:
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        addresses = {
            key: int(table.get_symbol_by_name(symbol)[0]["st_value"])
            for key, symbol in (
                ("marker", "sim_marker"),
                ("skip_begin", "sim_emulation_begin"),
                ("skip_end", "sim_emulation_end"),
            )
        }
    settings = ",".join(f"{key}={address:#x}" for key, address in addresses.items())
    return f"file={compiled_library(_PLUGIN)},out={counts},{settings}"


def _golden_header(inputs: NDArray[np.int8] | None) -> str:
    if inputs is None:
        return "#define GOLDEN_COUNT 0u\n"
    numbers = ",".join(map(str, inputs.reshape(-1).tolist()))
    return (
        f"#define GOLDEN_COUNT {len(inputs)}u\n"
        f"static const int8_t golden_inputs[] = {{{numbers}}};\n"
    )


_PROGRAM = "qemu-system-xtensa"
_ERASED = b"\xff"
_START_S = 20.0
_LOOK_S = 0.1
_ANSWER_S = 30.0  # an emulator may be much slower than the chip


@cache
def espressif_qemu(machine: str | None) -> str | None:
    """The program on the PATH that has this machine; None where there is none."""
    for folder in os.get_exec_path() if machine else ():
        program = shutil.which(_PROGRAM, path=folder)
        if program and machine in _machines(program).split():
            return program
    return None


def _machines(program: str) -> str:
    try:
        return subprocess.run(
            [program, "-machine", "help"], capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


@contextlib.contextmanager
def booted(image: bytes, device: Device, program: str) -> Iterator[str]:
    """Boot a flash image; yield the URL of its UART0 until the block ends.

    Raises:
        BoardError: it does not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        flash, said = Path(folder) / "flash.bin", Path(folder) / "said.txt"
        flash.write_bytes(image.ljust(device.flash_bytes, _ERASED))
        port = _free_port()
        command = [
            *(
                program,
                "-nographic",
                "-machine",
                str(family_of(device).qemu_machine),
                "-monitor",
                "none",
            ),
            *("-drive", f"file={flash},if=mtd,format=raw"),
            *("-serial", f"tcp:127.0.0.1:{port},server=on,wait=off"),
        ]
        with said.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            _wait_for(port, process, said)
            yield f"socket://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def answers_of_whole_image(
    image: bytes, device: Device, inputs: NDArray[np.int8], program: str
) -> NDArray[np.int8]:
    """What the booted firmware answers to inputs [n, ...] over its serial line: int8 [n, bytes].

    Raises:
        BoardError: it does not start, or does not answer.
    """
    rate = device.serial.baud_rate
    with booted(image, device, program) as url, open_link(url, rate, _ANSWER_S) as link:
        link.identify()
        answers = [link.run(one.tobytes(), count_cycles=False).output for one in inputs]
    return np.array([np.frombuffer(answer, np.int8) for answer in answers])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]", said: Path) -> None:
    """Wait until the serial line listens; the line takes one host, so it is not connected to."""
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        if is_taken(port):
            return
        time.sleep(_LOOK_S)
    if process.poll() is None:
        reason = f"its serial line is not there after {_START_S:g} s"
    else:
        reason = said.read_text(errors="replace").strip() or "it ended at once"
    raise BoardError(
        f"Espressif's QEMU did not start the image: {reason}. Take it off the PATH to do without."
    )
