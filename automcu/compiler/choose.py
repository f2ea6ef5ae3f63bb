"""Choosing the kernel that carries out an operator, by modelled cycles.

Cycles of a kernel are linear in its work, with a profile's figures as coefficients.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.isa import INSTRUCTION_SETS
from automcu.compiler.kernel import Candidate, Kernel
from automcu.mcu.core import core_named, kernel_sets
from automcu.mcu.profile import Device

Choose = Callable[[Operator, Graph, Device], Kernel]

_COMPILERS = ("gcc", "zig")  # whose figures decide, the first of them that the profile has
_CALL = "call"
_RELOADS = "reloads"
_PORTABLE_CAUTION = 2


def choose_kernel(operator: Operator, graph: Graph, device: Device) -> Kernel:
    """The kernel for one operator: of those that can carry it out the one of fewest cycles.

    Cycles are modelled with the profile's figures, the same whatever compiler is installed here.
    """
    return operator.attributes.chosen_kernel(operator, graph, partial(_cheapest_on, device))


def _cheapest_on(device: Device, operator: Operator, graph: Graph) -> Kernel:
    return cheapest(candidates(operator, graph, device), figures_of_choice(device))


def candidates(operator: Operator, graph: Graph, device: Device) -> tuple[Kernel, ...]:
    """The kernels that can carry out an operator, the one that usually wins first."""
    sources, result = operator.sources(graph), graph.tensors[operator.output]
    core, available = core_named(device.core), kernel_sets(device)
    special = (
        kernel
        for instruction_set in INSTRUCTION_SETS
        if instruction_set.name in available
        for kernel in instruction_set.kernels(operator.attributes, sources, result, core)
    )
    return (*special, operator.kernel(graph))


def figures_of_choice(device: Device) -> Mapping[str, float]:
    """The coefficients that choices go by; empty where the profile has none."""
    known = {latency.compiler: latency.coefficients for latency in device.latency}
    return next((known[compiler] for compiler in _COMPILERS if compiler in known), {})


def cheapest(kernels: Sequence[Kernel], coefficients: Mapping[str, float]) -> Kernel:
    """The kernel with the fewest modelled cycles, the first of equals; it tells whom it beat.

    Only those whose every unit of work was fitted take part: a guess could win or lose by being
    one. Where fewer than two are left there is nothing to compare, and the first is taken. A
    portable kernel must be twice as fast as special ones: it only comes near them on layers of a
    few pixels, where the model is least sure.
    """
    fitted = [kernel for kernel in kernels if is_fitted(kernel, coefficients)]
    if len(fitted) < 2:
        return kernels[0]
    cycles = [layer_cycles(kernel, coefficients) for kernel in fitted]
    order = sorted(range(len(fitted)), key=lambda i: cycles[i] * _caution(fitted[i]))
    return replace(
        fitted[order[0]],
        candidates=tuple(Candidate(fitted[i].variant, cycles[i]) for i in order),
    )


def _caution(kernel: Kernel) -> int:
    return _PORTABLE_CAUTION if kernel.isa == "portable" else 1


def work_of(kernel: Kernel, callers: int = 1) -> dict[str, int]:
    """Units of work by coefficient name, its parts' included; every call counts as one unit.

    `callers` are the layers that share the function: the parameters of an only one are constants
    to the compiler, those of several are loaded again for every output.
    """
    own = {**kernel.work, _CALL: 1}
    if callers > 1 and kernel.isa == "portable":
        own[_RELOADS] = sum(n for unit, n in kernel.work.items() if unit.startswith("outputs"))
    work = Counter({kernel.unit_name(unit): amount for unit, amount in own.items() if amount})
    for part, calls in kernel.parts:
        for name, amount in work_of(part).items():
            work[name] += calls * amount
    return dict(work)


def layer_cycles(kernel: Kernel, coefficients: Mapping[str, float], callers: int = 1) -> int:
    """Modelled cycles of one layer, whose function so many layers call.

    A unit of work that was never fitted costs what the dearest unit of its name does, or else of
    its key, so that a rare kernel is priced with caution rather than refused.
    """
    work = work_of(kernel, callers)
    return round(sum(_coefficient(name, coefficients) * n for name, n in work.items()))


def is_fitted(kernel: Kernel, coefficients: Mapping[str, float], callers: int = 1) -> bool:
    """Whether every unit of the kernel's work has a figure of its own."""
    return work_of(kernel, callers).keys() <= coefficients.keys()


def _coefficient(name: str, coefficients: Mapping[str, float]) -> float:
    if name in coefficients:
        return coefficients[name]
    key, _, unit = name.rpartition("/")
    same_unit = [value for other, value in coefficients.items() if other.endswith(f"/{unit}")]
    same_key = [value for other, value in coefficients.items() if other.startswith(f"{key}/")]
    return max(same_unit or same_key or coefficients.values())
