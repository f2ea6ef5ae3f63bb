"""Which layer of a linked network is the first to compute something else than the reference."""

import json
import threading
import zlib
from math import prod
from pathlib import Path

from elftools.elf.elffile import ELFFile

from automcu.boards.count import load_sections, stack_top, symbol_address
from automcu.boards.project import Golden
from automcu.boards.virtual.machine import Ending, Machine
from automcu.boards.virtual.memory import BoardMemory
from automcu.boards.virtual.recording_line import RecordingLine
from automcu.errors import WrongInputError
from automcu.mcu.profile import Device

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
            outcome = self._machine.call(self._run_layer, self._stack_top, (number,))
        finally:
            watchdog.cancel()
        # Returning looks like entering the boot loader: see Machine.call.
        if outcome.ending is not Ending.BOOT_LOADER:
            return None
        return self._memory.read(self._arena + offset, size)
