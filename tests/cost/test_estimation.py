"""Estimates add up, grow with the network, and say what is missing where there are no figures."""

from collections import Counter

import pytest

from automcu.boards.xtensa import can_emulate
from automcu.compiler import Program, compile_graph
from automcu.cost.code_size import (
    code_sizes,
    function_bytes,
    layer_bytes,
    program_code_bytes,
    runtime_size,
)
from automcu.cost.latency import latency_of, layer_cycles
from automcu.cost.records import Estimate
from automcu.errors import WrongInputError
from automcu.mcu import Device, find_device
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.networks.estimate import estimate
from automcu.toolchains import DEFAULT_STACK_BYTES, find_compiler

CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
SKELETON = Skeleton(stem_channels=8, cells_per_stage=1, resolution=16)
CORTEX_M4 = ("stm32f4", "stm32l4", "nrf52")


@pytest.fixture(scope="module")
def device() -> Device:
    return find_device("stm32f407g-disc1")


@pytest.fixture(scope="module")
def found(device: Device) -> Estimate:
    return estimate(Architecture(cell=CELL, skeleton=SKELETON), device)


@pytest.fixture(scope="module")
def program(device: Device) -> Program:
    return compile_graph(architecture_graph(Architecture(cell=CELL, skeleton=SKELETON)), device)


def test_layers_add_up_to_the_totals(found: Estimate, program: Program) -> None:
    assert sum(layer.cycles for layer in found.layers) == found.cycles
    assert sum(layer.macs for layer in found.layers) == found.macs == program.macs
    assert sum(layer.weight_bytes for layer in found.layers) == found.weight_bytes
    assert found.weight_bytes == program.weight_bytes
    assert found.arena_bytes == program.arena.size


def test_flash_ram_time_and_energy_are_made_of_their_parts(found: Estimate, device: Device) -> None:
    runtime = runtime_size(device, find_compiler(device.core).kind)
    assert found.flash_bytes == found.weight_bytes + found.code_bytes
    assert found.stack_bytes == DEFAULT_STACK_BYTES
    counts = 4 * len(found.layers)  # a cycle count for each layer
    assert found.ram_bytes == found.arena_bytes + found.stack_bytes + runtime.ram_bytes + counts
    assert found.code_bytes > runtime.flash_bytes > 0
    assert found.latency_ms == pytest.approx(1e3 * found.cycles / device.clock_hz)
    watt = device.power.active_milliampere / 1e3 * device.power.supply_volt
    assert found.energy_millijoule == pytest.approx(watt * found.latency_ms)


def test_each_layer_costs_what_its_kernel_does(
    found: Estimate, program: Program, device: Device
) -> None:
    coefficients = latency_of(device, find_compiler(device.core).kind).coefficients
    for layer, operator in zip(found.layers, program.graph.operators, strict=True):
        kernel = program.kernels[operator.name]
        assert layer.cycles == layer_cycles(kernel, coefficients)
        assert layer.variant == kernel.variant
        assert layer.output_shape == program.graph.tensors[operator.output].shape


def test_layers_of_one_shape_share_their_code(program: Program, device: Device) -> None:
    compiler = find_compiler(device.core).kind
    kernels = list(program.kernels.values())
    distinct = {kernel.function: kernel for kernel in kernels}
    assert len(distinct) < len(kernels)
    functions = sum(function_bytes(kernel, device, compiler) for kernel in distinct.values())
    callers = Counter(kernel.function for kernel in kernels)
    figures = [layer_bytes(kernel, device, compiler) for kernel in kernels]
    calls = sum(
        one.alone if callers[kernel.function] == 1 else one.among_others
        for one, kernel in zip(figures, kernels, strict=True)
    )
    known = code_sizes().kernels[f"{device.core}/{compiler}"]
    shared = {name for kernel in kernels for name in kernel.shared_functions}
    helpers = sum(known[f"shared/{name}"] for name in shared)
    assert program_code_bytes(program, device, compiler) == round(functions + calls + helpers)


def test_deeper_stages_cost_flash_and_time_but_no_memory(found: Estimate, device: Device) -> None:
    deeper = SKELETON.model_copy(update={"cells_per_stage": 3})
    other = estimate(Architecture(cell=CELL, skeleton=deeper), device)
    assert other.flash_bytes > found.flash_bytes
    assert other.cycles > found.cycles
    assert other.arena_bytes == found.arena_bytes


@pytest.mark.parametrize("update", [{"resolution": 32}, {"stem_channels": 16}])
def test_larger_networks_cost_more_of_everything(
    update: dict[str, int], found: Estimate, device: Device
) -> None:
    larger = Architecture(cell=CELL, skeleton=SKELETON.model_copy(update=update))
    other = estimate(larger, device)
    assert other.cycles > found.cycles
    assert other.ram_bytes > found.ram_bytes
    assert other.macs > found.macs


def test_the_firmware_of_a_new_family_is_taken_for_as_large_as_any_of_its_core(
    device: Device,
) -> None:
    known = [runtime_size(device.model_copy(update={"family": one}), "gcc") for one in CORTEX_M4]
    new = runtime_size(device.model_copy(update={"family": "a new one"}), "gcc")
    assert new.flash_bytes == max(one.flash_bytes for one in known)
    assert new.ram_bytes == max(one.ram_bytes for one in known)
    with pytest.raises(WrongInputError, match="no sizes of firmware for xtensa-lx7/zig"):
        runtime_size(device.model_copy(update={"core": "xtensa-lx7"}), "zig")


def test_a_device_without_figures_is_reported(device: Device) -> None:
    architecture = Architecture(cell=CELL, skeleton=SKELETON)
    with pytest.raises(WrongInputError, match="has no latency figures"):
        estimate(architecture, device.model_copy(update={"latency": ()}))
    with pytest.raises(WrongInputError, match="There are no code sizes for xtensa-lx7/zig"):
        function_bytes(
            next(iter(compile_graph(architecture_graph(architecture), device).kernels.values())),
            device.model_copy(update={"core": "xtensa-lx7"}),
            "zig",
        )


@pytest.mark.skipif(not can_emulate(), reason="there is no compiler for Xtensa here")
def test_where_an_image_is_copied_to_ram_weights_count_as_ram_and_the_clock_is_reported() -> None:
    architecture = Architecture(cell=CELL, skeleton=SKELETON)
    board = find_device("esp32-s3-devkitc-1")
    estimated = estimate(architecture, board)
    regions = tuple(
        region.model_copy(update={"holds": ("code", "weights")})
        if region.kind == "flash"
        else region.model_copy(update={"holds": tuple(set(region.holds) - {"weights", "code"})})
        for region in board.memory
    )
    in_place = estimate(architecture, board.model_copy(update={"memory": regions}))
    assert estimated.ram_bytes - in_place.ram_bytes == estimated.weight_bytes > 0
    assert "240 MHz" in (estimated.clock_note or "")
    assert board.ram_bytes == board.region_for("weights").size  # code has a region of its own


def _bar(percent: float | None) -> dict[str, float | None]:
    return {"network_percent": percent, "network_cycles": 0}


def test_the_error_bar_is_that_of_the_figures_that_were_used(device: Device) -> None:
    architecture = Architecture(cell=CELL, skeleton=SKELETON)
    kind = find_compiler(device.core).kind
    for percent in (7.5, None):
        latency = tuple(
            one.model_copy(update=_bar(percent if one.compiler == kind else 99.0))
            for one in device.latency
        )
        other = device.model_copy(update={"latency": latency})
        assert estimate(architecture, other).latency_percent == percent
