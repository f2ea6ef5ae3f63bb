"""From a graph to a program for a device: operators in order, a kernel for each, a memory plan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.arena import Arena, plan_arena, schedule
from automcu.compiler.choose import Choose, choose_kernel
from automcu.compiler.graph import Graph, Operator, run_reference
from automcu.compiler.kernel import Kernel
from automcu.compiler.passes import optimise
from automcu.compiler.tiling.search import fit_arena
from automcu.mcu.profile import Device


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
