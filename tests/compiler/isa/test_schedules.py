"""Every shape and order of inner loop, as machine code on a board, against the reference."""

from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automcu.calibration import varied_choice
from automcu.calibration.networks import with_random_weights
from automcu.compiler import Graph, compile_graph
from automcu.compiler.compile import candidates
from automcu.compiler.graph import Operator, Quantisation, Tensor
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops import Convolution
from automcu.compiler.tensor import Window
from automcu.mcu import Device, find_device
from tests.compiler.isa.test_special_kernels import first_wrong_layer
from tests.compiler.random_graphs import graphs

_numbers = count()
BOARDS = ("stm32f407g-disc1", "stm32f746g-disco")


@pytest.fixture(scope="module", params=BOARDS)
def device(request: pytest.FixtureRequest) -> Device:
    return find_device(request.param)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(most_steps=6, channel_step=2), seed=st.integers(0, 1000))
def test_random_networks_of_kernels_drawn_by_lot_compute_the_reference(
    graph: Graph, seed: int, device: Device, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / f"lots{next(_numbers)}"
    program = compile_graph(graph, device, choose=varied_choice(seed))
    assert first_wrong_layer(program, device, folder) is None


@st.composite
def layers(draw: st.DrawFn) -> Graph:
    """One convolution, depthwise or not, of a shape that special kernels take."""
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 11))
    size = draw(st.sampled_from((1, 1, 3)))
    stride = draw(st.sampled_from((1, 1, 2)))
    window = Window(size, size, (stride, stride), (size // 2,) * 4)
    if draw(st.booleans()):
        channels = draw(st.sampled_from((4, 8, 20)))
        return one_layer((height, width, channels), Convolution(window, channels, groups=channels))
    shape = (height, width, draw(st.sampled_from((1, 2, 3, 5, 8, 16, 34))))
    out_channels = draw(st.sampled_from((2, 4, 8, 12, 16)))
    bits = draw(st.sampled_from((8, 8, 4)))
    return one_layer(shape, Convolution(window, out_channels, weight_bits=bits))


def one_layer(shape: tuple[int, int, int], attributes: Convolution) -> Graph:
    scale = Quantisation(1.0, 0)
    tensors = {
        "input": Tensor("input", shape, scale),
        "output": Tensor("output", attributes.output_shape(shape), scale),
    }
    operator = Operator("layer", ("input",), "output", attributes)
    return Graph(tensors, (operator,), "input", "output")


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=layers(), seed=st.integers(0, 1000))
def test_every_kernel_of_a_layer_computes_the_reference(
    graph: Graph, seed: int, device: Device, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _check_every_kernel(graph, seed, device, tmp_path_factory)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6, 7, 8, 13])
def test_rows_of_every_width_are_cut_without_a_seam(
    width: int, device: Device, tmp_path_factory: pytest.TempPathFactory
) -> None:
    window = Window(3, 3, padding=(1, 1, 1, 1))
    for attributes in (Convolution(window, 8), Convolution(window, 8, groups=8)):
        graph = one_layer((3, width, 8), attributes)
        _check_every_kernel(graph, width, device, tmp_path_factory)


def test_pixels_between_windows_are_not_read(
    device: Device, tmp_path_factory: pytest.TempPathFactory
) -> None:
    graph = one_layer((3, 9, 8), Convolution(Window(1, 1, (2, 2)), 8, groups=8))
    _check_every_kernel(graph, 0, device, tmp_path_factory)


@pytest.mark.parametrize("groups", [1, 8])
@pytest.mark.parametrize(("width", "stride"), [(3, 1), (8, 1), (9, 2)])
def test_rows_with_channels_that_amplify_compute_the_reference(
    groups: int, width: int, stride: int, device: Device, tmp_path_factory: pytest.TempPathFactory
) -> None:
    window = Window(3, 3, (stride, stride), (1, 1, 1, 1))
    graph = one_layer((3, width, 8), Convolution(window, 8, groups=groups))
    weighted = with_random_weights(graph, width)
    layer = weighted.operators[0]
    assert isinstance(layer.attributes, Convolution)
    coarse = np.where(np.arange(8) % 3, 1 / 128, 1.7)
    amplifying = replace(layer, attributes=replace(layer.attributes, weight_scales=coarse))
    weighted = replace(weighted, operators=(amplifying,))
    assert any("amplified" in one.function for one in candidates(amplifying, weighted, device))
    _check_kernels_of(weighted, device, tmp_path_factory)


def _check_every_kernel(
    graph: Graph, seed: int, device: Device, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _check_kernels_of(with_random_weights(graph, seed), device, tmp_path_factory)


def _check_kernels_of(
    weighted: Graph, device: Device, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for place in range(len(candidates(weighted.operators[0], weighted, device))):
        folder = tmp_path_factory.getbasetemp() / f"schedule{next(_numbers)}"

        def take(operator: Operator, graph: Graph, device: Device, place: int = place) -> Kernel:
            return candidates(operator, graph, device)[place]

        program = compile_graph(weighted, device, choose=take)
        assert first_wrong_layer(program, device, folder) is None, program.kernels["layer"].variant
