"""Bytes of flash and RAM that the firmware takes besides the network's weights and arena.

The figures are read from linked firmwares by `python -m benchmarks.fit_cost_model` and kept in
code_sizes.json beside this file: for each core and compiler the code of each category of kernel
and of a layer's call and parameters; for each family of parts the runtime without any network.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.compile import Program
from automcu.compiler.kernel import Kernel
from automcu.errors import NoFiguresError
from automcu.mcu.profile import Device
from automcu.records import Record

_AMONG_OTHERS = "shared"
_OF_RING = ("_ring", "_pixels")  # how the names of the ring's functions end
_CONVOLUTION_RECORDS = ("convolution_parameters", "ternary_parameters")
_SUM_FIELD, _OFFSETS_FIELD = 24, 4  # bytes of an add_scaling and of a pointer
_EXPONENTIAL = 2  # bytes of one in a table
SIZES_FILE = Path(__file__).parent / "code_sizes.json"


class RuntimeSize(Record):
    """The firmware without a network: start-up, clock, serial link. Bytes."""

    flash_bytes: int
    ram_bytes: int


class CodeSizes(Record):
    """Keys: "core/compiler" for kernels and layers, "family/core/compiler" for runtimes.

    A layer's figure is that of the only caller of its function, or, behind "/shared", of one of
    several.
    """

    kernels: Mapping[str, Mapping[str, float]]
    layers: Mapping[str, Mapping[str, float]]
    runtimes: Mapping[str, RuntimeSize]


@cache
def code_sizes() -> CodeSizes:
    """The figures that ship with the package."""
    return CodeSizes.load(SIZES_FILE)


def code_units(kernel: Kernel) -> dict[str, int]:
    """What a kernel's code is made of, by name of figure: the function, and parts of it."""
    parts = {kernel.unit_name(unit): amount for unit, amount in kernel.code.items() if amount}
    return {kernel.cost_key: 1} | parts


def has_code_figures(kernel: Kernel, device: Device, compiler: str) -> bool:
    """Whether all that a kernel's code and its layers' calls are made of was seen linked.

    Raises:
        NoFiguresError: there are no figures for this core and compiler.
    """
    figures = _figures(code_sizes().kernels, device, compiler)
    calls = _figures(code_sizes().layers, device, compiler)
    return (
        all(code_units(part).keys() <= figures.keys() for part in kernel.with_parts)
        and layer_unit(kernel, 1) in calls
    )


def function_bytes(kernel: Kernel, device: Device, compiler: str) -> float:
    """Code of one kernel's C functions.

    Raises:
        NoFiguresError: there are no figures for this core and compiler.
    """
    figures = _figures(code_sizes().kernels, device, compiler)
    return sum(_figure(figures, name) * n for name, n in code_units(kernel).items())


@dataclass(frozen=True)
class LayerBytes:
    """Parameters and call of a layer; weights are not counted.

    A compiler folds the parameters of a function's only caller into the function.
    """

    alone: float
    among_others: float

    def of(self, layers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Bytes of so many layers that share one function."""
        return np.asarray(np.where(layers == 1, self.alone, layers * self.among_others))


def layer_unit(kernel: Kernel, callers: int) -> str:
    """The name of the figure for a layer whose function so many layers call."""
    return kernel.cost_key if callers == 1 else f"{kernel.cost_key}/{_AMONG_OTHERS}"


def layer_bytes(kernel: Kernel, device: Device, compiler: str) -> LayerBytes:
    """What layers with this kernel take besides weights and function.

    Raises:
        NoFiguresError: there are no figures for this core and compiler.
    """
    figures = _figures(code_sizes().layers, device, compiler)
    alone, among_others = (_figure(figures, layer_unit(kernel, callers)) for callers in (1, 2))
    return LayerBytes(alone, among_others)


def shared_bytes(kernel: Kernel, device: Device, compiler: str) -> dict[str, float]:
    """Code of the functions that a kernel shares with others, by name.

    Raises:
        NoFiguresError: there are no figures for this core and compiler.
    """
    figures = _figures(code_sizes().kernels, device, compiler)
    return {name: _figure(figures, f"{_AMONG_OTHERS}/{name}") for name in kernel.shared_functions}


def program_code_bytes(program: Program, device: Device, compiler: str) -> int:
    """Code of the distinct kernels, and parameters and calls of the layers.

    Raises:
        NoFiguresError: there are no figures for this core and compiler.
    """
    code = sum(function_bytes(kernel, device, compiler) for kernel in program.functions)
    callers = Counter(kernel.function for kernel in program.kernels.values())
    calls = sum(
        float(layer_bytes(kernel, device, compiler).of(np.array(callers[kernel.function])))
        for kernel in program.functions
    )
    figures = _figures(code_sizes().kernels, device, compiler)
    shared = sum(_figure(figures, name) for name in _shared_units(program, figures))
    return round(code + calls + shared + _record_bytes(program, callers) + _table_bytes(program))


def _table_bytes(program: Program) -> int:
    """The table of exponentials that attention has in its function; compilers keep one."""
    tables = (kernel.settings.get("exponentials") for kernel in program.functions)
    return max((_EXPONENTIAL * len(one) for one in tables if isinstance(one, list)), default=0)


def _shared_units(program: Program, figures: Mapping[str, float]) -> set[str]:
    """Names of the figures of functions that several kernels call.

    Where one kernel alone calls those of the ring, a compiler puts its constants into them.
    """
    shared = {name for kernel in program.functions for name in kernel.shared_functions}
    units = {f"{_AMONG_OTHERS}/{name}" for name in shared}
    with_ring = [kernel for kernel in program.functions if uses_ring(kernel)]
    if len(with_ring) == 1 and (alone := ring_alone_unit(with_ring[0])) in figures:
        ring = {name for name in with_ring[0].shared_functions if name.endswith(_OF_RING)}
        return {unit for unit in units if unit.rpartition("/")[2] not in ring} | {alone}
    return units


def uses_ring(kernel: Kernel) -> bool:
    """Whether the kernel calls the functions that keep input rows in a ring."""
    return any(name.endswith(_OF_RING) for name in kernel.shared_functions)


def ring_alone_unit(kernel: Kernel) -> str:
    """The name of the figure for the ring's functions where only this kernel calls them."""
    rows = "rows" if int(str(kernel.settings["kernel_height"])) > 1 else "row"
    return f"{_AMONG_OTHERS}/ring_alone_{rows}"


def _record_bytes(program: Program, callers: Mapping[str, int]) -> int:
    """What the records of convolutions' parameters are larger, or smaller, than in the figures.

    All have a field for what any layer of the program needs; figures are with sums and without
    offsets of weights. Only records of functions with several callers are there at all.
    """
    return sum(
        beyond_record(kernel, program)
        for kernel in program.kernels.values()
        if callers[kernel.function] > 1
    )


def beyond_record(kernel: Kernel, program: Program) -> int:
    """Bytes of a layer's record of parameters in this program, less those of the figures."""
    if kernel.parameters_type not in _CONVOLUTION_RECORDS:
        return 0
    settings = [one.settings for one in program.functions]
    sums = 0 if any(one.get("residual") for one in settings) else _SUM_FIELD
    if kernel.parameters_type != "convolution_parameters":
        return -sums
    return (_OFFSETS_FIELD if any(one.get("offsets") for one in settings) else 0) - sums


def _figures(
    table: Mapping[str, Mapping[str, float]], device: Device, compiler: str
) -> Mapping[str, float]:
    key = f"{device.core}/{compiler}"
    if key not in table:
        raise NoFiguresError(f"There are no code sizes for {key} yet. Choose another device.")
    return table[key]


def _figure(figures: Mapping[str, float], name: str) -> float:
    """A part that was never seen linked counts as the largest of its name in another kernel.

    A kernel counts as the largest, a part that no kernel has as nothing: both are guesses.
    """
    if name in figures:
        return figures[name]
    if "/" not in name:
        return max(size for other, size in figures.items() if "/" not in other)
    part = name[name.rindex("/") :]
    return max((size for other, size in figures.items() if other.endswith(part)), default=0.0)


def runtime_size(device: Device, compiler: str) -> RuntimeSize:
    """The firmware's own flash and RAM on `device`.

    That of a family whose firmware has never been linked is taken for as large as any other's of
    its core.

    Raises:
        NoFiguresError: no firmware for a core like the device's has been linked.
    """
    runtimes = code_sizes().runtimes
    core = f"{device.core}/{compiler}"
    if f"{device.family}/{core}" in runtimes:
        return runtimes[f"{device.family}/{core}"]
    others = [size for key, size in runtimes.items() if key.endswith(f"/{core}")]
    if not others:
        raise NoFiguresError(
            f"There are no sizes of firmware for {core} yet. Choose another device or compiler."
        )
    return RuntimeSize(
        flash_bytes=max(size.flash_bytes for size in others),
        ram_bytes=max(size.ram_bytes for size in others),
    )
