"""From a graph to a program for a device: operators in order, a kernel for each, a memory plan.

Cycles of a kernel are linear in its work, with a profile's figures as coefficients.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.arena import Arena, plan_arena, schedule
from automcu.compiler.graph import Graph, Operator, run_reference
from automcu.compiler.isa import INSTRUCTION_SETS
from automcu.compiler.kernel import Candidate, Kernel
from automcu.compiler.passes import optimise
from automcu.compiler.tiling.search import fit_arena
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


@dataclass(frozen=True)
class Program:
    """`graph.operators` are in execution order; `kernels` are by operator name.

    Without a `core` the code is for any machine, a PC among them.
    """

    graph: Graph
    kernels: Mapping[str, Kernel]
    arena: Arena
    core: str | None

    @property
    def functions(self) -> tuple[Kernel, ...]:
        """One kernel for each C function, those that others call before them.

        Layers of equal shape share one.
        """
        kernels = [self.kernels[operator.name] for operator in self.graph.operators]
        return tuple(
            {part.function: part for kernel in kernels for part in kernel.with_parts}.values()
        )

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(operator.macs(self.graph) for operator in self.graph.operators)

    @property
    def weight_bytes(self) -> int:
        """Flash that the constant arrays take."""
        return sum(self.kernels[op.name].weight_bytes for op in self.graph.operators)

    def title(self, operator: Operator) -> str:
        """What a person calls the operator."""
        return operator.title(self.graph)

    def run(self, inputs: NDArray[np.int8]) -> NDArray[np.int8]:
        """The integer reference: outputs int8 [n, features] for inputs int8 [n, h, w, c]."""
        return run_reference(self.graph, inputs)


def compile_graph(
    graph: Graph,
    device: Device,
    arena_limit_bytes: int | None = None,
    choose: Choose = choose_kernel,
) -> Program:
    """Optimise, choose kernels for the device's core, order the operators, plan the arena.

    The graph needs no weights: a network can be costed before it is trained. Where the arena
    would be above the limit, layers at full resolution run some rows at a time. `choose` takes
    one of the kernels that can carry out an operator.
    """
    # Attempts differ in their chains only, which may come back too.
    known: dict[tuple[str, str], Kernel] = {}

    def choose_once(operator: Operator, graph: Graph) -> Kernel:
        key = operator.name, operator.title(graph)
        if key not in known:
            known[key] = choose(operator, graph, device)
        return known[key]

    def plan(optimised: Graph) -> Program:
        return _plan(optimised, choose_once, device.core)

    program = plan(optimise(graph))
    if arena_limit_bytes is None:
        return program
    return fit_arena(program, arena_limit_bytes, plan, choose_once)


def portable_program(program: Program) -> Program:
    """The same layers in the same order, by kernels in plain C99: for unit tests on a PC."""
    graph = program.graph
    kernels = {operator.name: operator.kernel(graph) for operator in graph.operators}
    return Program(graph, kernels, plan_arena(graph, graph.operators, kernels), None)


def _plan(graph: Graph, choose: Callable[[Operator, Graph], Kernel], core: str) -> Program:
    kernels = {operator.name: choose(operator, graph) for operator in graph.operators}
    graph = graph.with_operators(schedule(graph, kernels))
    return Program(graph, kernels, plan_arena(graph, graph.operators, kernels), core)
