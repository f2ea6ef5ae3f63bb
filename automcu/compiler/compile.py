"""From a graph to a program for a device."""

from collections.abc import Callable

from automcu.compiler.arena import plan_arena
from automcu.compiler.choose import Choose, choose_kernel, portable_kernel
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops import Stripes
from automcu.compiler.passes import optimise
from automcu.compiler.program import Program
from automcu.compiler.schedule import schedule
from automcu.compiler.tiling.search import fit_arena
from automcu.mcu.profile import Core, Device


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

    known: dict[tuple[str, int], Kernel] = {}

    def choose_once(operator: Operator, graph: Graph) -> Kernel:
        """Attempts differ in their chains only, which may come back too."""
        attributes = operator.attributes
        key = operator.name, attributes.rows if isinstance(attributes, Stripes) else 0
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
    kernels = {operator.name: portable_kernel(operator, graph) for operator in graph.operators}
    return Program(graph, kernels, plan_arena(graph, graph.operators, kernels), None)


def _plan(graph: Graph, choose: Callable[[Operator, Graph], Kernel], core: Core) -> Program:
    kernels = {operator.name: choose(operator, graph) for operator in graph.operators}
    graph = graph.with_operators(schedule(graph, kernels))
    return Program(graph, kernels, plan_arena(graph, graph.operators, kernels), core)
