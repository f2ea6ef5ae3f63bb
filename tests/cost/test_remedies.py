"""A network that does not fit brings changes that do, and their figures are true."""

import pytest

from automcu.brief import Limits
from automcu.calibration.networks import with_random_weights
from automcu.compiler import compile_graph
from automcu.compiler.low_bit_weights import reduce_weight_bits
from automcu.compiler.passes import optimise
from automcu.cost.estimation import estimate_program
from automcu.cost.verdict import bits_remedies, check, with_remedies
from automcu.mcu import Device, find_device, shipped_devices
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.networks.cells.survey import architecture_remedies
from automcu.networks.estimate import estimate

CELL = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|none~2|"
BIG = Architecture(cell=CELL, skeleton=Skeleton(stem_channels=8, cells_per_stage=2, resolution=16))


@pytest.fixture
def device() -> Device:
    return find_device("stm32f407g-disc1")


def test_each_change_fits_and_is_the_smallest_of_its_kind(device: Device) -> None:
    now = estimate(BIG, device)
    limit = now.latency_ms * 0.8
    remedies = architecture_remedies(BIG, device, [], Limits(latency_ms=limit))
    changes = {one.change: one for one in remedies}
    assert list(changes) == ["stem of 6 channels", "resolution 8", "1 cell a stage"]
    assert all(one.latency_ms <= limit for one in remedies)
    narrower = BIG.skeleton.model_copy(update={"stem_channels": 6})
    expected = estimate(Architecture(cell=CELL, skeleton=narrower), device)
    assert changes["stem of 6 channels"].latency_ms == expected.latency_ms
    assert changes["stem of 6 channels"].flash_bytes == expected.flash_bytes


def test_another_board_that_fits_is_named(device: Device) -> None:
    small = device.model_copy(
        update={
            "id": "small",
            "memory": tuple(
                r.model_copy(update={"size": 8192}) if r.kind == "flash" else r
                for r in device.memory
            ),
        }
    )
    remedies = architecture_remedies(BIG, small, shipped_devices().values())
    boards = [one for one in remedies if one.change.startswith("the board")]
    assert 1 <= len(boards) <= 2
    assert all(one.flash_bytes > 8192 for one in boards)


def test_the_help_of_a_limit_has_the_figures_of_that_limit(device: Device) -> None:
    now = estimate(BIG, device)
    limit = now.latency_ms / 2
    remedies = architecture_remedies(BIG, device, [], Limits(latency_ms=limit))
    verdict = with_remedies(check(now, device, Limits(latency_ms=limit)), remedies)
    (broken,) = verdict.limits
    assert broken.help is not None
    first = remedies[0]
    assert first.latency_percent is not None
    figure = f"{first.latency_ms:.3g} ms ± {first.latency_percent:.1f} %"
    assert f"{first.change} ({figure})" in broken.help
    assert broken.layer is not None
    assert broken.layer in broken.help


def test_where_nothing_fits_the_help_says_so(device: Device) -> None:
    now = estimate(BIG, device)
    limit = 1e-6
    remedies = architecture_remedies(BIG, device, [], Limits(latency_ms=limit))
    verdict = with_remedies(check(now, device, Limits(latency_ms=limit)), remedies)
    assert remedies == ()
    assert "no single smaller step" in (verdict.limits[0].help or "")


@pytest.mark.parametrize("bits", [6, 4, 3, 2])
def test_fewer_bits_are_the_most_that_keep_the_flash_limit(device: Device, bits: int) -> None:
    weights = with_random_weights(optimise(architecture_graph(BIG)), 1)
    reduced = compile_graph(reduce_weight_bits(weights, bits), device)
    limit = estimate_program(reduced, device).flash_bytes
    remedies = {
        one.change: one for one in architecture_remedies(BIG, device, [], Limits(flash_bytes=limit))
    }
    (change,) = [change for change in remedies if change.startswith("weights")]
    assert change == f"weights of {bits} bits"
    assert remedies[change].flash_bytes == limit


def test_fewer_bits_do_not_help_where_flash_is_not_what_is_short(device: Device) -> None:
    now = estimate(BIG, device)
    for limits in (
        {"latency_ms": now.latency_ms / 2},
        {"ram_bytes": now.ram_bytes - 1},
        {"flash_bytes": now.flash_bytes - 1, "latency_ms": now.latency_ms / 2},
        {"energy_mj": now.energy_millijoule / 2},
        {},
    ):
        remedies = architecture_remedies(BIG, device, [], Limits.model_validate(limits))
        assert not [one for one in remedies if one.change.startswith("weights")]


def test_weights_of_few_bits_only_get_fewer(device: Device) -> None:
    graph = reduce_weight_bits(with_random_weights(architecture_graph(BIG), 1), 4)
    needed = estimate_program(compile_graph(graph, device), device)
    (found,) = bits_remedies(
        graph,
        lambda one: estimate_program(compile_graph(one, device), device),
        device,
        Limits(flash_bytes=needed.flash_bytes - 1),
    )
    assert found.change == "weights of 3 bits"
    assert found.flash_bytes < needed.flash_bytes
