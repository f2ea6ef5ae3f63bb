"""The proof of a build: golden inputs through the linked machine code, before it is firmware."""

import contextlib
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray

from automcu.boards.link import Link
from automcu.boards.port import Port
from automcu.boards.project import GOLDEN, Golden, load_golden
from automcu.boards.virtual.machine import (
    Exit,
    ExitKind,
    Machine,
    load_sections,
    stack_top,
    symbol_address,
)
from automcu.boards.virtual.memory import BoardMemory, virtual_registers
from automcu.boards.virtual.serial_line import LocalCable, RecordingLine
from automcu.boards.xtensa import (
    answers_of_whole_image,
    can_emulate,
    espressif_qemu,
    outputs_of_objects,
)
from automcu.errors import BoardError, FirmwareDiffersError, WrongInputError
from automcu.mcu.core import core_named
from automcu.mcu.family import family_of
from automcu.mcu.profile import Device, code_flash
from automcu.toolchains.build import Build, Unverified, Verification, build_project, image_of
from automcu.toolchains.compiler import Compiler

_DEFAULT_NAME = "model"
_TIMEOUT_S = 30.0


def first_differing_layer(
    elf: Path, project: Path, device: Device, golden: Golden, index: int
) -> str | None:
    """Run golden input `index` layer by layer, without start-up; return the layer's name.

    None where the project does not say what each layer should put out, the ELF does not let layers
    be called, or all of them are right.
    """
    described = json.loads((project / "project.json").read_text(encoding="utf-8"))
    layers, checksums = described["layers"], golden.layer_checksums
    if checksums is None or index >= len(checksums) or checksums.shape[1] != len(layers):
        return None
    name = described.get("name") or _DEFAULT_NAME
    with elf.open("rb") as file:
        linked = ELFFile(file)
        try:
            network = _Network(linked, device, name)
        except WrongInputError:
            return None
    network.write_input(golden.inputs[index].tobytes())
    for number, layer in enumerate(layers):
        output = network.run_layer(number, layer["output_offset"], prod(layer["output_shape"]))
        if output is None or zlib.crc32(output) != checksums[index, number]:
            return f"{layer['name']} ({layer['op']})"
    return None


class _Network:
    """A network's functions in the memory of a device, called one by one."""

    def __init__(self, elf: ELFFile, device: Device, name: str) -> None:
        self._memory = BoardMemory(device)
        load_sections(self._memory, device, elf)
        self._machine = Machine(device, self._memory, RecordingLine())
        self._stack_top = stack_top(device)
        self._arena = symbol_address(elf, f"{name}_arena")
        self._input = symbol_address(elf, f"{name}_input")
        self._run_layer = symbol_address(elf, f"{name}_run_layer")

    def write_input(self, content: bytes) -> None:
        """Put an input where the network expects it."""
        self._machine.call(self._input, self._stack_top)
        self._memory.write(self._machine.result(), content)

    def run_layer(self, number: int, offset: int, size: int) -> bytes | None:
        """Run one layer; return `size` bytes at `offset` of the arena, None if it fails."""
        watchdog = threading.Timer(_TIMEOUT_S, self._machine.stop)
        watchdog.start()
        try:
            end = self._machine.call(self._run_layer, self._stack_top, (number,))
        finally:
            watchdog.cancel()
        # Returning looks like entering the boot loader: see Machine.call.
        if end.kind is not ExitKind.BOOT_LOADER:
            return None
        return self._memory.read(self._arena + offset, size)


_MOST_INPUTS = 16
_SECONDS = 3.0  # of running inputs; the first runs however long it takes
_ANSWER_S = 5.0  # with nothing to compute, on a machine that is busy
_COMPUTE_S = 30.0


def build_verified(project: Path, device: Device, compiler: Compiler | None = None) -> Build:
    """Build a project and run golden inputs through what was linked, before it is firmware.

    Raises:
        FirmwareDiffersError: it computes something else; the folder then holds no firmware.
        WrongInputError, ToolError, DoesNotFitError: as `verify_firmware` and `build_project`.
    """

    def verify(elf: Path) -> Verification | Unverified:
        return verify_firmware(elf, project, device)

    return build_project(project, device, compiler, verify)


def verify_firmware(elf: Path, project: Path, device: Device) -> Verification | Unverified:
    """Run golden inputs through the firmware `elf` and compare every byte of its answers.

    A Cortex-M runs the flash image from reset on, and is spoken to over its USART. Of an ESP32-S3
    Espressif's QEMU boots the whole image where it is installed; else Debian's runs the network's
    compiled objects, linked at other addresses. It takes as many inputs as some seconds allow.

    Raises:
        FirmwareDiffersError: an answer differs, or the firmware faults or stays silent.
        WrongInputError: golden.npz is damaged, or belongs to another model.
    """
    if not (project / GOLDEN).is_file():
        return Unverified(
            reason=f"{project / GOLDEN} is missing. Compile the project again to have one."
        )
    golden = load_golden(project, None)
    if core_named(device.core).qemu:
        return _verify_xtensa(elf, project, device, golden)
    try:
        virtual_registers(device)
    except BoardError as error:
        return Unverified(reason=str(error))
    core = f"the emulated {core_named(device.core).title}"
    answers = _answers(elf, device, golden, core)
    return _compared(answers, golden, f"on {core}", elf, project, device)


def _answers(elf: Path, device: Device, golden: Golden, core: str) -> NDArray[np.int8]:
    """What the firmware answers over its serial line: int8 [n, bytes]."""
    with _running(image_of(elf, device), device) as (link, ended):
        try:
            _check_model(link, golden)
            return _within_seconds(link, golden.inputs[:_MOST_INPUTS])
        except BoardError as error:
            raise FirmwareDiffersError(
                f"The linked firmware does not answer on {core}: {_how_it_failed(ended())}. Mend "
                "what was changed in firmware/ or model/; if it needs hardware that is not "
                "emulated, build with --no-verify."
            ) from error


def _how_it_failed(end: Exit | None) -> str:
    if end is None:
        return "it is silent, or what it sends are no answers"
    return ": ".join(filter(None, (end.kind.value, end.description)))


def _check_model(link: Link, golden: Golden) -> None:
    identity = link.identify()
    sizes = golden.inputs[0].nbytes, golden.outputs[0].nbytes
    wanted = identity.input_bytes, identity.output_bytes
    if golden.model_hash not in (None, identity.model_hash):
        differs = f"its hash is {golden.model_hash}, that of model/ {identity.model_hash}"
    elif sizes != wanted:
        differs = (
            f"its inputs and outputs have {sizes[0]} and {sizes[1]} bytes, the network in model/ "
            f"takes {wanted[0]} and gives {wanted[1]}"
        )
    else:
        return
    raise WrongInputError(
        f"{GOLDEN} belongs to another model: {differs}. "
        "Compile the model again, or build with --no-verify."
    )


def _within_seconds(link: Link, inputs: NDArray[np.int8]) -> NDArray[np.int8]:
    answers, end = [], time.monotonic() + _SECONDS
    for one in inputs:
        answers.append(np.frombuffer(link.run(one.tobytes(), count_cycles=False).output, np.int8))
        if time.monotonic() > end:
            break
    return np.stack(answers)


@contextlib.contextmanager
def _running(image: bytes, device: Device) -> Iterator[tuple[Link, Callable[[], Exit | None]]]:
    """Start a flash image as reset does; yield a link to it, and how it ended if it has."""
    memory, cable = BoardMemory(device), LocalCable()
    flash = code_flash(device).address
    memory.write(flash, image)
    machine = Machine(device, memory, cable)
    exits: list[Exit] = []

    def live() -> None:
        try:
            exits.append(machine.run(flash))
        finally:
            cable.hang_up()

    def ended() -> Exit | None:
        return exits[0] if exits and exits[0].kind is not ExitKind.STOPPED else None

    core = threading.Thread(target=live, daemon=True)
    core.start()
    try:
        port: Any = cable
        yield Link(Port("the emulator", port), _ANSWER_S, _COMPUTE_S), ended
    finally:
        while core.is_alive():  # a stop that comes between two stretches of code is lost
            machine.stop()
            core.join(0.1)


def _verify_xtensa(
    elf: Path, project: Path, device: Device, golden: Golden
) -> Verification | Unverified:
    inputs, qemu = golden.inputs[:_MOST_INPUTS], espressif_qemu(family_of(device).qemu_machine)
    if qemu:
        answers = answers_of_whole_image(image_of(elf, device), device, inputs, qemu)
        return _compared(
            answers, golden, "in Espressif's QEMU, which booted the image", elf, project, device
        )
    if not can_emulate():
        return Unverified(
            reason="this machine has no qemu-system-xtensa to run an ESP32-S3's code. Install it "
            "(Debian and Ubuntu: apt-get install qemu-system-misc), or measure on the board."
        )
    answers = outputs_of_objects(project, inputs)
    how = (
        "in QEMU, on the network's compiled objects at other addresses; start-up and serial line "
        "did not run"
    )
    return _compared(answers, golden, how, elf, project, device)


def _compared(
    answers: NDArray[np.int8], golden: Golden, how: str, elf: Path, project: Path, device: Device
) -> Verification:
    """Compare answers, and on a Cortex-M what each layer puts out: later ones may hide an error."""
    count = len(answers)
    expected = golden.outputs[:count].reshape(count, -1)
    differing = np.flatnonzero((answers != expected).any(axis=1))
    traced = int(differing[0]) if len(differing) else 0
    layer = None
    if not core_named(device.core).qemu:
        layer = first_differing_layer(elf, project, device, golden, traced)
    if not len(differing) and layer is None:
        return Verification(inputs=count, golden_inputs=len(golden.inputs), mismatches=0, how=how)
    where = f"; the first layer that differs is {layer}" if layer else ""
    raise FirmwareDiffersError(
        f"This is no good firmware: {len(differing)} of {count} golden inputs give other answers "
        f"{how} than the integer reference{where}. Compile the model again if its C was edited, "
        f"or choose another compiler with AUTOMCU_COMPILER; the code is in {elf}."
    )
