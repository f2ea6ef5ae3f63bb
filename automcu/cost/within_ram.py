"""Compiling a network for the RAM that there is; where it is short, by row tiling."""

from automcu.compiler import Graph, Program, compile_graph
from automcu.compiler.tiling.operator import RowTiling
from automcu.cost.code_size import runtime_size
from automcu.cost.estimation import RAM_BYTES_PER_LAYER, estimate_program
from automcu.cost.records import RowTilingEffect
from automcu.errors import NoFiguresError, ToolError
from automcu.mcu.profile import Device
from automcu.toolchains import DEFAULT_STACK_BYTES, find_compiler


def compile_within(graph: Graph, device: Device, max_ram_bytes: int | None = None) -> Program:
    """Compile for the device's RAM, or less of it; the result may still be too large.

    What our own firmware takes is left free where there is one for the device.
    """
    return compile_graph(graph, device, _arena_limit(graph, device, max_ram_bytes))


def row_tiling(program: Program, graph: Graph, device: Device) -> RowTilingEffect | None:
    """What row tiling gains and costs in a program of `graph`; None where nothing does."""
    layers = tuple(
        operator.name
        for operator in program.graph.operators
        if isinstance(operator.attributes, RowTiling)
    )
    if not layers:
        return None
    whole = estimate_program(compile_graph(graph, device), device)
    return RowTilingEffect(
        layers=layers,
        arena_bytes_whole=whole.arena_bytes,
        cycles_whole=whole.cycles,
        flash_bytes_whole=whole.flash_bytes,
    )


def _arena_limit(graph: Graph, device: Device, max_ram_bytes: int | None) -> int:
    """RAM but for what the firmware itself takes, and no more than the arena's region."""
    ram = device.ram_bytes if max_ram_bytes is None else min(device.ram_bytes, max_ram_bytes)
    try:
        runtime = runtime_size(device, find_compiler(device.core).kind).ram_bytes
    except (NoFiguresError, ToolError):
        runtime = 0
    layers = RAM_BYTES_PER_LAYER * len(graph.operators)
    weights = compile_graph(graph, device).weight_bytes if device.weights_in_ram else 0
    return min(
        ram - runtime - layers - DEFAULT_STACK_BYTES - weights, device.region_for("arena").size
    )
