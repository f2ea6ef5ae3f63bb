"""From a graph to a program for a device."""

from automcu.compiler.arena import plan_arena
from automcu.compiler.fit_arena import fit_arena
from automcu.compiler.graph import Graph
from automcu.compiler.kernels import Choose, choose_kernel
from automcu.compiler.passes import optimise
from automcu.compiler.program import Program
from automcu.compiler.schedule import schedule
from automcu.devices.profile import Device


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

    def plan(optimised: Graph) -> Program:
        return _plan(optimised, device, choose)

    program = plan(optimise(graph))
    return program if arena_limit_bytes is None else fit_arena(program, arena_limit_bytes, plan)


def _plan(graph: Graph, device: Device, choose: Choose) -> Program:
    kernels = {operator.name: choose(operator, graph, device) for operator in graph.operators}
    graph = graph.with_operators(schedule(graph, kernels))
    return Program(graph, kernels, plan_arena(graph, graph.operators, kernels))
