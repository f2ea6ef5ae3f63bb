"""Bytes of flash and RAM that the firmware takes besides the network's weights and arena.

The figures are read from linked firmwares by `python -m benchmarks.fit_cost_model` and kept in
code_sizes.json beside this file: for each core and compiler the code of each category of kernel
and of a layer's call and parameters; for each family of parts the runtime without any network.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from automcu.compiler.kernels import Kernel
from automcu.compiler.program import Program
from automcu.devices.profile import Device
from automcu.errors import WrongInputError
from automcu.records import Record

SIZES_FILE = Path(__file__).parent / "code_sizes.json"


class RuntimeSize(Record):
    """The firmware without a network: start-up, clock, serial link. Bytes."""

    flash_bytes: int
    ram_bytes: int


class CodeSizes(Record):
    """Keys: "core/compiler" for kernels and layers, "family/core/compiler" for runtimes."""

    kernels: Mapping[str, Mapping[str, float]]
    layers: Mapping[str, Mapping[str, float]]
    runtimes: Mapping[str, RuntimeSize]


@cache
def code_sizes() -> CodeSizes:
    """The figures that ship with the package."""
    return CodeSizes.load(SIZES_FILE)


def code_units(kernel: Kernel) -> dict[str, int]:
    """What a kernel's code is made of, by name of figure: the function, and parts of it."""
    parts = {kernel.unit_name(unit): amount for unit, amount in kernel.code.items()}
    return {kernel.category: 1} | parts


def function_bytes(kernel: Kernel, device: Device, compiler: str) -> float:
    """Code of one kernel's C functions.

    Raises:
        WrongInputError: there are no figures for this core and compiler.
    """
    figures = _figures(code_sizes().kernels, device, compiler)
    return sum(_figure(figures, name) * n for name, n in code_units(kernel).items())


def layer_bytes(kernel: Kernel, device: Device, compiler: str) -> float:
    """Parameters and call of one layer with this kernel; its weights are not counted.

    Raises:
        WrongInputError: there are no figures for this core and compiler.
    """
    return _figure(_figures(code_sizes().layers, device, compiler), kernel.category)


def program_code_bytes(program: Program, device: Device, compiler: str) -> int:
    """Code of the distinct kernels, and parameters and calls of the layers.

    Raises:
        WrongInputError: there are no figures for this core and compiler.
    """
    code = sum(function_bytes(kernel, device, compiler) for kernel in program.functions)
    calls = sum(layer_bytes(kernel, device, compiler) for kernel in program.kernels.values())
    figures = _figures(code_sizes().kernels, device, compiler)
    shared = {kernel.shared_function for kernel in program.functions} - {None}
    return round(code + calls + sum(_figure(figures, f"shared/{name}") for name in shared))


def _figures(
    table: Mapping[str, Mapping[str, float]], device: Device, compiler: str
) -> Mapping[str, float]:
    key = f"{device.core}/{compiler}"
    if key not in table:
        raise WrongInputError(f"There are no code sizes for {key} yet. Choose another device.")
    return table[key]


def _figure(figures: Mapping[str, float], name: str) -> float:
    """A part that was never seen linked counts as the largest that was."""
    return figures[name] if name in figures else max(figures.values())


def runtime_size(device: Device, compiler: str) -> RuntimeSize:
    """The firmware's own flash and RAM on `device`.

    Raises:
        WrongInputError: there is no firmware for the device's family yet.
    """
    key = f"{device.family}/{device.core}/{compiler}"
    runtimes = code_sizes().runtimes
    if key not in runtimes:
        raise WrongInputError(f"There is no firmware for {key} yet. Choose another device.")
    return runtimes[key]
