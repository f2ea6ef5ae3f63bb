"""The memory plan, held against its own promises and against a reference that lives in it."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from automcu.compiler import Graph, Operator, Program, compile_graph, run_reference
from automcu.compiler.graph import run_operator
from automcu.mcu import Device
from tests.compiler.random_graphs import graphs

NOT_ITS_BUSINESS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
laws = settings(max_examples=60, deadline=None, suppress_health_check=NOT_ITS_BUSINESS)


@pytest.fixture(params=["portable", "dsp"])
def device(request: pytest.FixtureRequest, portable_device: Device) -> Device:
    isa = ("dsp",) if request.param == "dsp" else ()
    return portable_device.model_copy(update={"isa": isa})


@laws
@given(graph=graphs())
def test_buffers_in_use_at_the_same_time_share_no_byte(graph: Graph, device: Device) -> None:
    arena = compile_graph(graph, device).arena
    for first, second in combinations(arena.buffers, 2):
        if first.first_step <= second.last_step and second.first_step <= first.last_step:
            starts = arena.offsets[first.name], arena.offsets[second.name]
            assert starts[0] + first.size <= starts[1] or starts[1] + second.size <= starts[0]


@laws
@given(graph=graphs())
def test_the_arena_holds_every_buffer_and_is_no_smaller_than_its_bound(
    graph: Graph, device: Device
) -> None:
    program = compile_graph(graph, device)
    arena = program.arena
    assert max(arena.offsets[b.name] + b.size for b in arena.buffers) == arena.size
    assert arena.size >= arena.lower_bound
    assert all(offset % 4 == 0 for offset in arena.offsets.values())
    for name, tensor in program.graph.tensors.items():
        assert arena.tensor_offsets[name] + tensor.size <= arena.size
    for operator in program.graph.operators:
        needed = program.kernels[operator.name].scratch_bytes
        if needed:
            assert arena.scratch_offsets[operator.name] + needed <= arena.size


@laws
@given(graph=graphs())
def test_a_result_covers_an_input_only_where_its_kernel_may_write_over_it(
    graph: Graph, device: Device
) -> None:
    program = compile_graph(graph, device)
    offsets, tensors = program.arena.tensor_offsets, program.graph.tensors
    for step, operator in enumerate(program.graph.operators):
        result = tensors[operator.output]
        later = program.graph.operators[step + 1 :]
        for index, name in enumerate(operator.inputs):
            apart = (
                offsets[name] + tensors[name].size <= offsets[result.name]
                or offsets[result.name] + result.size <= offsets[name]
            )
            if not apart:
                assert offsets[name] == offsets[result.name]
                assert index in program.kernels[operator.name].overwrites
                assert operator.inputs.count(name) == 1
                assert not any(name in other.inputs for other in later)
                assert name != program.graph.output


@laws
@given(graph=graphs())
def test_a_network_computed_inside_the_arena_is_the_network(graph: Graph, device: Device) -> None:
    program = compile_graph(graph, device)
    shape = graph.tensors[graph.input].shape
    image = np.random.default_rng(0).integers(-128, 128, shape, dtype=np.int8)
    expected = run_reference(program.graph, image[None])[0]
    assert np.array_equal(run_in_arena(program, image), expected)


def run_in_arena(program: Program, image: np.ndarray) -> np.ndarray:
    """Run with all tensors in one array; bytes that the plan calls free are overwritten."""
    graph, arena = program.graph, program.arena
    noise = np.random.default_rng(1)
    memory = noise.integers(-128, 128, arena.size, dtype=np.int8)

    def place(name: str) -> np.ndarray:
        tensor = graph.tensors[name]
        first = arena.tensor_offsets[name]
        return memory[first : first + tensor.size].reshape(tensor.shape)

    place(graph.input)[:] = image
    for step, operator in enumerate(graph.operators):
        spoil_free_bytes(program, memory, step, noise)
        inputs = tuple(place(name)[None].copy() for name in operator.inputs)
        spoil_scratch(program, memory, operator, noise)
        place(operator.output)[:] = run_operator(operator, operator.lower(graph), inputs)[0]
    spoil_free_bytes(program, memory, len(graph.operators), noise)
    return place(graph.output).reshape(-1)


def spoil_free_bytes(
    program: Program, memory: np.ndarray, step: int, noise: np.random.Generator
) -> None:
    used = np.zeros(memory.size, bool)
    for buffer in program.arena.buffers:
        if buffer.first_step <= step <= buffer.last_step:
            first = program.arena.offsets[buffer.name]
            used[first : first + buffer.size] = True
    memory[~used] = noise.integers(-128, 128, np.count_nonzero(~used), dtype=np.int8)


def spoil_scratch(
    program: Program, memory: np.ndarray, operator: Operator, noise: np.random.Generator
) -> None:
    size = program.kernels[operator.name].scratch_bytes
    if size:
        first = program.arena.scratch_offsets[operator.name]
        memory[first : first + size] = noise.integers(-128, 128, size, dtype=np.int8)
