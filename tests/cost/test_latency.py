"""The latency model: fitted to what is known, it gives it back."""

import random

import numpy as np
import pytest

from automcu.compiler import Graph, Operator, Quantisation, Tensor
from automcu.compiler.compile import choose_kernel
from automcu.compiler.graph import Attributes
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops import Convolution, Rescale
from automcu.compiler.tensor import Window
from automcu.cost.latency import Observation, fit, latency_of, layer_cycles, work_of
from automcu.errors import WrongInputError
from automcu.mcu import Device, find_device

SCALE = Quantisation(1.0, 0)


@pytest.fixture
def device() -> Device:
    return find_device("stm32f407g-disc1")


def kernel_of(
    attributes: Attributes, shape: tuple[int, int, int], device: Device, isa: tuple[str, ...] = ()
) -> Kernel:
    tensors = {
        "x": Tensor("x", shape, SCALE),
        "y": Tensor("y", attributes.output_shape(shape), SCALE),
    }
    operator = Operator("layer", ("x",), "y", attributes)
    graph = Graph(tensors, (operator,), "x", "y")
    return choose_kernel(operator, graph, device.model_copy(update={"isa": isa}))


def convolutions(device: Device, count: int = 60) -> list[Kernel]:
    chance = random.Random(0)
    kernels = []
    for _ in range(count):
        size = chance.choice((1, 2, 3, 5))
        shape = (chance.randint(5, 20), chance.randint(5, 20), chance.randint(1, 40))
        stride = chance.choice((1, 2))
        window = Window(size, size, (stride, stride), (size // 2,) * 4)
        kernels.append(kernel_of(Convolution(window, 4 * chance.randint(1, 10)), shape, device))
    return kernels


def observed(kernels: list[Kernel], truth: dict[str, float]) -> list[Observation]:
    return [Observation(kernel, layer_cycles(kernel, truth)) for kernel in kernels]


def test_known_coefficients_are_recovered(device: Device) -> None:
    kernels = [*convolutions(device), *(rescale(n, device) for n in (10, 500, 2000, 9000))]
    names = sorted({name for kernel in kernels for name in work_of(kernel)})
    truth = {name: 1.5 + index % 5 for index, name in enumerate(names)}
    found = fit(observed(kernels, truth))
    assert found.coefficients.keys() == truth.keys()
    assert found.residual_percent < 0.5
    for kernel in convolutions(device, 20)[10:]:
        expected = layer_cycles(kernel, truth)
        assert layer_cycles(kernel, found.coefficients) == pytest.approx(expected, rel=5e-3)


def test_each_unit_of_work_gets_its_own_price(device: Device) -> None:
    kernels = [rescale(n, device) for n in (1, 50, 1000, 5000, 20000)]
    (category,) = {kernel.cost_key for kernel in kernels}
    truth = {f"{category}/outputs": 7.25, f"{category}/call": 40.0}
    truth |= {name: 0.0 for name in work_of(kernels[-1]) if name not in truth}
    found = fit(observed(kernels, truth))
    assert found.coefficients[f"{category}/outputs"] == pytest.approx(7.25, rel=0.01)
    assert found.coefficients[f"{category}/call"] == pytest.approx(40.0, rel=0.05)


def rescale(elements: int, device: Device) -> Kernel:
    return kernel_of(Rescale(), (1, 1, elements), device)


def test_no_coefficient_is_negative_even_where_noise_asks_for_it(device: Device) -> None:
    chance = np.random.default_rng(0)
    kernels = convolutions(device)
    truth = {name: 3.0 for kernel in kernels for name in work_of(kernel)}
    noisy = [
        Observation(o.kernel, round(o.cycles * chance.uniform(0.9, 1.1)))
        for o in observed(kernels, truth)
    ]
    found = fit(noisy)
    assert min(found.coefficients.values()) >= 0
    assert 5 < found.residual_percent < 25


def test_categories_are_fitted_apart(device: Device) -> None:
    kernels = convolutions(device)
    alone = fit(observed(kernels, dict.fromkeys(_names(kernels), 2.0)))
    other = rescale(100, device)
    together = fit(
        [
            *observed(kernels, dict.fromkeys(_names(kernels), 2.0)),
            Observation(other, 999_999),
        ]
    )
    for name, value in alone.coefficients.items():
        assert together.coefficients[name] == pytest.approx(value)


def _names(kernels: list[Kernel]) -> set[str]:
    return {name for kernel in kernels for name in work_of(kernel)}


def test_every_kernel_counts_its_call(device: Device) -> None:
    for kernel in (*convolutions(device, 5), rescale(3, device)):
        assert work_of(kernel)[f"{kernel.cost_key}/call"] == 1


def test_a_kernel_without_figures_is_priced_as_the_dearest_of_its_units(device: Device) -> None:
    kernel = rescale(8, device)
    figures = {"one/outputs": 3.0, "other/outputs": 5.0, "one/call": 40.0, "one/macs": 1.0}
    assert work_of(kernel).keys() == {f"{kernel.cost_key}/outputs", f"{kernel.cost_key}/call"}
    assert layer_cycles(kernel, figures) == 8 * 5 + 40


def test_a_compiler_without_figures_is_named(device: Device) -> None:
    without = device.model_copy(update={"latency": ()})
    with pytest.raises(WrongInputError, match="no latency figures for code of gcc"):
        latency_of(without, "gcc")
    for latency in device.latency:
        assert latency_of(device, latency.compiler) is latency
