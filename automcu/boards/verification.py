"""The proof of a build: golden inputs through the linked machine code, before it is firmware."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automcu.boards.differing_layer import first_differing_layer
from automcu.boards.flashing.image import code_flash
from automcu.boards.link.client import Link
from automcu.boards.port import Port
from automcu.boards.project import GOLDEN, Golden, load_golden
from automcu.boards.virtual.engine import check_core
from automcu.boards.virtual.families import family_of
from automcu.boards.virtual.local_cable import LocalCable
from automcu.boards.virtual.machine import Ending, Machine, Outcome
from automcu.boards.virtual.memory import BoardMemory
from automcu.boards.xtensa.emulation import can_emulate, outputs_of_objects
from automcu.boards.xtensa.whole_image import answers_of_whole_image, espressif_qemu
from automcu.errors import BoardError, FirmwareDiffersError, WrongInputError
from automcu.mcu.profile import Device
from automcu.toolchains.build import build_project, image_of
from automcu.toolchains.compiler import Compiler
from automcu.toolchains.records import Build, Unverified, Verification

_MOST_INPUTS = 16
_SECONDS = 3.0  # of running inputs; the first runs however long it takes
_ANSWER_S = 5.0  # with nothing to compute, on a machine that is busy
_COMPUTE_S = 30.0
_XTENSA = "xtensa-lx7"
_CORES = {"cortex-m4": "Cortex-M4", "cortex-m7": "Cortex-M7", "cortex-m33": "Cortex-M33"}


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
    if device.core == _XTENSA:
        return _verify_xtensa(elf, project, device, golden)
    try:
        family_of(device)
        check_core(device)
    except BoardError as error:
        return Unverified(reason=str(error))
    core = f"the emulated {_CORES[device.core]}"
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


def _how_it_failed(outcome: Outcome | None) -> str:
    if outcome is None:
        return "it is silent, or what it sends are no answers"
    return ": ".join(filter(None, (outcome.ending.value, outcome.description)))


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
def _running(image: bytes, device: Device) -> Iterator[tuple[Link, Callable[[], Outcome | None]]]:
    """Start a flash image as reset does; yield a link to it, and how it ended if it has."""
    memory, cable = BoardMemory(device), LocalCable()
    flash = code_flash(device).address
    memory.write(flash, image)
    machine = Machine(device, memory, cable)
    outcomes: list[Outcome] = []

    def live() -> None:
        try:
            outcomes.append(machine.run(flash))
        finally:
            cable.hang_up()

    def ended() -> Outcome | None:
        return outcomes[0] if outcomes and outcomes[0].ending is not Ending.STOPPED else None

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
    inputs, qemu = golden.inputs[:_MOST_INPUTS], espressif_qemu()
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
    if device.core != _XTENSA:
        layer = first_differing_layer(elf, project, device, golden, traced)
    if not len(differing) and layer is None:
        return Verification(inputs=count, golden_inputs=len(golden.inputs), mismatches=0, how=how)
    where = f"; the first layer that differs is {layer}" if layer else ""
    raise FirmwareDiffersError(
        f"This is no good firmware: {len(differing)} of {count} golden inputs give other answers "
        f"{how} than the integer reference{where}. Compile the model again if its C was edited, "
        f"or choose another compiler with AUTOMCU_COMPILER; the code is in {elf}."
    )
