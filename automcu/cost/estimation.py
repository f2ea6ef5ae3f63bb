"""What one inference and the firmware around it will cost on a device, before anything is built.

Where RAM is short, networks are compiled with chains of layers in tiles of rows.
"""

from collections import Counter

from automcu.compiler import Graph, Program, compile_graph
from automcu.compiler.compile import is_fitted
from automcu.compiler.tiling.chain import RowTiling
from automcu.cost.code_size import (
    function_bytes,
    has_code_figures,
    program_code_bytes,
    runtime_size,
)
from automcu.cost.latency import latency_of, layer_cycles
from automcu.cost.records import Estimate, Guesses, LayerCost, OtherKernel, RowTilingEffect
from automcu.errors import NoFiguresError, ToolError
from automcu.mcu.family import clock_note
from automcu.mcu.profile import Device, Latency
from automcu.toolchains import DEFAULT_STACK_BYTES, find_compiler

RAM_BYTES_PER_LAYER = 4  # the firmware keeps a cycle count for each


def _guessed(program: Program, device: Device, figures: Latency, callers: Counter[str]) -> Guesses:
    """What rests on kernels that nobody has timed or seen linked."""
    untimed = {
        operator.name: layer_cycles(kernel, figures.coefficients, callers[kernel.function])
        for operator in program.graph.operators
        if not is_fitted(
            kernel := program.kernels[operator.name],
            figures.coefficients,
            callers[kernel.function],
        )
    }
    unseen = {
        operator.name: kernel
        for operator in program.graph.operators
        if not has_code_figures(kernel := program.kernels[operator.name], device, figures.compiler)
    }
    functions = {part.function: part for kernel in unseen.values() for part in kernel.with_parts}
    return Guesses(
        layers=tuple(dict.fromkeys((*untimed, *unseen))),
        cycles=sum(untimed.values()),
        code_bytes=round(
            sum(function_bytes(one, device, figures.compiler) for one in functions.values())
        ),
    )


def estimate_program(program: Program, device: Device) -> Estimate:
    """Cost of a compiled program."""
    compiler = find_compiler(device.core).kind
    figures = latency_of(device, compiler)
    callers = Counter(kernel.function for kernel in program.kernels.values())
    layers = tuple(
        LayerCost(
            name=operator.name,
            op=program.title(operator),
            variant=program.kernels[operator.name].variant,
            macs=operator.macs(program.graph),
            cycles=layer_cycles(
                program.kernels[operator.name],
                figures.coefficients,
                callers[program.kernels[operator.name].function],
            ),
            weight_bytes=program.kernels[operator.name].weight_bytes,
            output_shape=program.graph.tensors[operator.output].shape,
            others=tuple(
                OtherKernel(variant=other.variant, cycles=other.cycles)
                for other in program.kernels[operator.name].candidates[1:]
            ),
        )
        for operator in program.graph.operators
    )
    guessed = _guessed(program, device, figures, callers)
    runtime = runtime_size(device, compiler)
    code = program_code_bytes(program, device, compiler) + runtime.flash_bytes
    cycles = sum(layer.cycles for layer in layers)
    milliseconds = 1e3 * cycles / device.clock_hz
    return Estimate(
        device=device.id,
        flash_bytes=program.weight_bytes + code,
        weight_bytes=program.weight_bytes,
        code_bytes=code,
        ram_bytes=program.arena.size
        + runtime.ram_bytes
        + RAM_BYTES_PER_LAYER * len(layers)
        + DEFAULT_STACK_BYTES
        + (program.weight_bytes if device.weights_in_ram else 0),
        arena_bytes=program.arena.size,
        stack_bytes=DEFAULT_STACK_BYTES,
        cycles=cycles,
        latency_ms=milliseconds,
        energy_millijoule=device.energy_millijoule(milliseconds),
        macs=program.macs,
        layers=layers,
        # An error bar speaks for kernels with figures, not for those that are guessed.
        latency_percent=None if guessed.cycles else figures.error_percent(cycles),
        guesses=guessed,
        arena_lower_bound_bytes=program.arena.lower_bound,
        clock_note=clock_note(device),
    )


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
