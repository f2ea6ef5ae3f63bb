"""Chains tiled by rows: the same results from less memory."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automcu.calibration import LayerChain
from automcu.calibration.networks import with_random_weights
from automcu.compiler import Graph, Operator, Program, compile_graph
from automcu.compiler.ops import Add, Convolution, MaxPool
from automcu.compiler.tensor import Window
from automcu.compiler.tiling.chain import RowTiling
from automcu.mcu import Device, find_device
from tests.compiler.compiled_model import CompiledModel
from tests.compiler.isa.test_special_kernels import first_wrong_layer
from tests.compiler.random_graphs import tall_chains

_SAME = Window(3, 3, padding=(1, 1, 1, 1))
_HALVING = Window(3, 3, (2, 2), (0, 0, 1, 1))


def network(side: int, *layers: Convolution | MaxPool, adding: str | None = None) -> Graph:
    """Layers on a square image of four channels, so that rows are whole words; then a sum."""
    chain = LayerChain((side, side, 4))
    for layer in layers:
        chain.append(layer)
    if adding is not None:
        chain.append(Add(), adding)
    return with_random_weights(chain.graph(), seed=0)


@pytest.fixture(scope="module")
def inverted_residuals() -> Graph:
    """The start of a MobileNetV2: what is expanded at full resolution fills the memory."""
    return network(
        48,
        Convolution(_HALVING, 16),
        Convolution(_SAME, 16, groups=16),
        Convolution(Window(1, 1), 8),
        Convolution(Window(1, 1), 48),
        Convolution(_HALVING, 48, groups=48),
        Convolution(Window(1, 1), 12),
        Convolution(Window(12, 12), 10),
    )


def striped(program: Program) -> list[Operator]:
    return [op for op in program.graph.operators if isinstance(op.attributes, RowTiling)]


def test_what_does_not_fit_whole_fits_in_tiles_of_rows(inverted_residuals: Graph) -> None:
    device = find_device("f407")
    whole = compile_graph(inverted_residuals, device)
    limit = 3 * whole.arena.size // 4
    program = compile_graph(inverted_residuals, device, limit)
    assert whole.arena.size > limit >= program.arena.size
    assert len(striped(program)) == 1
    assert program.macs == whole.macs


def test_no_more_stripes_are_made_than_the_limit_asks_for(inverted_residuals: Graph) -> None:
    device = find_device("f407")
    whole = compile_graph(inverted_residuals, device)
    assert not striped(compile_graph(inverted_residuals, device, whole.arena.size))
    tight, loose = (
        striped(compile_graph(inverted_residuals, device, share * whole.arena.size // 20))[0]
        for share in (15, 18)
    )
    assert tight.attributes.rows <= loose.attributes.rows


def test_every_place_that_is_too_full_gets_a_chain() -> None:
    device = find_device("f407")
    block = (Convolution(Window(1, 1), 96), Convolution(_SAME, 96, groups=96))
    graph = network(16, *block, Convolution(Window(1, 1), 4), *block, Convolution(Window(1, 1), 4))
    whole = compile_graph(graph, device)
    program = compile_graph(graph, device, 2 * whole.arena.size // 3)
    assert len(striped(program)) == 2
    assert program.arena.size <= 2 * whole.arena.size // 3


def test_weights_of_a_chain_are_there_once(inverted_residuals: Graph) -> None:
    device = find_device("f407")
    whole = compile_graph(inverted_residuals, device)
    assert compile_graph(inverted_residuals, device, 1).weight_bytes == whole.weight_bytes


def test_where_rows_gain_nothing_the_program_stays_as_it_is() -> None:
    device = find_device("f407")
    graph = network(1, Convolution(Window(1, 1), 8), Convolution(Window(1, 1), 4))
    assert not striped(compile_graph(graph, device, 1))


@pytest.mark.parametrize("share", [16, 12, 1])
def test_tiled_machine_code_computes_the_reference(
    inverted_residuals: Graph, share: int, tmp_path: Path
) -> None:
    device = find_device("f407")
    limit = share * compile_graph(inverted_residuals, device).arena.size // 20
    program = compile_graph(inverted_residuals, device, limit)
    assert striped(program)
    assert first_wrong_layer(program, device, tmp_path) is None


def test_pools_and_a_residual_at_the_end_are_tiled_too(
    portable_device: Device, tmp_path: Path
) -> None:
    graph = network(
        24, Convolution(_SAME, 16), MaxPool(_SAME), Convolution(_SAME, 4), adding="input"
    )
    program = compile_graph(graph, portable_device, 1)
    (chain,) = striped(program)
    assert chain.inputs == ("input",)
    images = np.random.default_rng(0).integers(-128, 128, (3, 24, 24, 4), dtype=np.int8)
    expected = compile_graph(graph, portable_device).run(images)
    assert np.array_equal(CompiledModel(program, tmp_path).run(images), expected)


def test_a_tiled_residual_block_writes_over_its_own_input(tmp_path: Path) -> None:
    """What a whole block needs twice, and a ring of rows, is there once."""
    device = find_device("f407")
    same = Convolution(_SAME, 16)
    graph = network(24, same, same, same, adding="layer_0")
    program = compile_graph(graph, device, 1)
    (chain,) = striped(program)
    offsets = program.arena.tensor_offsets
    assert offsets[chain.output] == offsets[chain.inputs[0]]
    assert program.arena.size < 2 * 24 * 24 * 16 < compile_graph(graph, device).arena.size
    assert first_wrong_layer(program, device, tmp_path) is None


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(graph=tall_chains(), share=st.integers(0, 9))
def test_random_networks_under_any_limit_compute_the_reference(
    graph: Graph, share: int, portable_device: Device, tmp_path: Path
) -> None:
    whole = compile_graph(graph, portable_device)
    program = compile_graph(graph, portable_device, share * whole.arena.size // 10)
    assert program.arena.size <= whole.arena.size
    shape = graph.tensors[graph.input].shape
    images = np.random.default_rng(0).integers(-128, 128, (2, *shape), dtype=np.int8)
    expected = whole.run(images)
    assert np.array_equal(program.run(images), expected)
    assert np.array_equal(CompiledModel(program, tmp_path).run(images), expected)
