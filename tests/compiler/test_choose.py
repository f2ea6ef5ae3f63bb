"""Which kernel an operator gets, and why."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automcu.calibration.networks import with_random_weights
from automcu.compiler import Graph, compile_graph, render_model
from automcu.compiler.compile import (
    candidates,
    cheapest,
    choose_kernel,
    figures_of_choice,
    layer_cycles,
    work_of,
)
from automcu.compiler.graph import Operator, Quantisation, Tensor
from automcu.compiler.isa.armv7e_m.block_shape import Tile, split_row, tiles
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops import Convolution
from automcu.compiler.tensor import Window
from automcu.mcu import Device, find_device
from automcu.mcu.core import CORTEX_M4, CORTEX_M7

_SAME = Window(3, 3, padding=(1, 1, 1, 1))


def layer(
    shape: tuple[int, int, int] = (8, 8, 8), out: int = 8, window: Window = _SAME
) -> tuple[Operator, Graph]:
    attributes = Convolution(window, out)
    scale = Quantisation(1.0, 0)
    tensors = {
        "input": Tensor("input", shape, scale),
        "output": Tensor("output", attributes.output_shape(shape), scale),
    }
    operator = Operator("layer", ("input",), "output", attributes)
    return operator, Graph(tensors, (operator,), "input", "output")


@pytest.fixture(params=["stm32f407g-disc1", "stm32f746g-disco", "nucleo-u575zi-q"])
def device(request: pytest.FixtureRequest) -> Device:
    return find_device(request.param)


@given(
    side=st.integers(1, 12),
    channels=st.integers(1, 24),
    out=st.integers(1, 24),
    size=st.sampled_from((1, 3)),
)
def test_the_chosen_kernel_has_the_fewest_cycles_of_those_with_figures(
    side: int, channels: int, out: int, size: int
) -> None:
    device = find_device("stm32f746g-disco")
    figures = figures_of_choice(device)
    window = Window(size, size, padding=(size // 2,) * 4)
    operator, graph = layer((side, side, channels), out, window)
    chosen = choose_kernel(operator, graph, device)
    others = [
        kernel
        for kernel in candidates(operator, graph, device)[:-1]
        if work_of(kernel).keys() <= figures.keys()
    ]
    if chosen.variant.startswith("portable"):
        assert all(
            2 * layer_cycles(chosen, figures) < layer_cycles(kernel, figures) for kernel in others
        )
    else:
        assert layer_cycles(chosen, figures) == min(layer_cycles(k, figures) for k in others)


def test_without_figures_the_first_is_taken_and_nothing_is_said_of_the_others(
    device: Device,
) -> None:
    operator, graph = layer()
    chosen = choose_kernel(operator, graph, device.model_copy(update={"latency": ()}))
    assert chosen.function == candidates(operator, graph, device)[0].function
    assert chosen.candidates == ()


def test_the_compiler_at_hand_changes_nothing(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, graph = layer()
    chosen = []
    for compiler in ("gcc", "zig"):
        monkeypatch.setenv("AUTOMCU_COMPILER", compiler)
        chosen.append(choose_kernel(operator, graph, device).function)
    assert chosen[0] == chosen[1]


def fitted(kernels: tuple[Kernel, ...]) -> dict[str, float]:
    return {unit: 1.0 for kernel in kernels for unit in work_of(kernel)}


def test_of_equals_the_first_is_taken() -> None:
    operator, graph = layer()
    kernel = candidates(operator, graph, find_device("stm32f407g-disc1"))[0]
    twin = candidates(operator, graph, find_device("stm32f407g-disc1"))[0]
    assert cheapest((kernel, twin), fitted((kernel,))).function == kernel.function


def test_a_kernel_with_a_unit_that_was_never_fitted_is_not_compared() -> None:
    operator, graph = layer()
    kernels = candidates(operator, graph, find_device("stm32f746g-disco"))
    known = fitted(kernels[1:])
    chosen = cheapest(kernels, known)
    assert not work_of(kernels[0]).keys() <= known.keys()
    assert chosen.variant != kernels[0].variant
    assert kernels[0].variant not in [candidate.variant for candidate in chosen.candidates]


def test_only_a_core_that_issues_in_pairs_is_offered_loops_for_it() -> None:
    operator, graph = layer()
    for name, expected in (("stm32f407g-disc1", False), ("stm32f746g-disco", True)):
        variants = [k.variant for k in candidates(operator, graph, find_device(name))]
        assert any("dual-issue" in variant for variant in variants) == expected
        assert variants[-1].startswith("portable")


def test_candidates_of_a_layer_are_functions_of_their_own(device: Device) -> None:
    operator, graph = layer()
    functions = [kernel.function for kernel in candidates(operator, graph, device)]
    assert len(set(functions)) == len(functions)


@given(width=st.integers(1, 200), pixels=st.sampled_from((1, 2, 3, 4)))
def test_blocks_cover_a_row_without_gap_or_overlap(width: int, pixels: int) -> None:
    covered = [
        pixel
        for size, count, first in split_row(width, Tile(pixels, 2, "dual"))
        for pixel in range(first, first + size * count)
    ]
    assert covered == list(range(width))


@given(width=st.integers(1, 200), out=st.integers(1, 50).map(lambda half: 2 * half))
def test_every_even_number_of_channels_has_a_tile(width: int, out: int) -> None:
    assert all(tiles(width, out, core) for core in (CORTEX_M4, CORTEX_M7))


def test_the_listing_names_the_kernel_and_the_next_best() -> None:
    device = find_device("stm32f746g-disco")
    _, graph = layer()
    program = compile_graph(with_random_weights(graph, 0), device)
    first, second = program.kernels["layer"].candidates[:2]
    listing = render_model(program)["model.c"]
    assert f"{first.variant}, {first.cycles} cycles (modelled; {second.variant}: " in listing


@pytest.mark.parametrize(("weight_scale", "amplifies"), [(0.4, False), (1.2, True)])
def test_special_kernels_take_channels_that_amplify(weight_scale: float, amplifies: bool) -> None:
    """Where a step of the accumulator is more than half a step of the output."""
    operator, graph = layer((8, 8, 4), 4, Window(1, 1))
    filled = Convolution(
        Window(1, 1),
        4,
        weights=np.array([[1, -1, 0, 1]] * 4, np.int8).reshape(4, 1, 1, 4),
        weight_scales=np.full(4, weight_scale),
        bias=np.zeros(4, np.int32),
    )
    operator = replace(operator, attributes=filled)
    graph = replace(graph, operators=(operator,))
    found = candidates(operator, graph, find_device("stm32f407g-disc1"))
    assert not found[0].variant.startswith("portable")
    assert all(one.function.count("amplified") == amplifies for one in found)
