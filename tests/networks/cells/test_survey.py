"""The whole space at once says of each cell what compiling its network alone says."""

import random

import pytest

from automcu.brief import Limits
from automcu.cost.verdict import check
from automcu.mcu import Device, find_device
from automcu.networks.cells.cell import Cell, all_cells
from automcu.networks.cells.skeleton import Architecture, Skeleton, Survey
from automcu.networks.cells.structure import (
    cell_layers,
    cell_structures,
    count_kinds,
    distinct_networks,
    fewest_tensors,
    overwrites,
)
from automcu.networks.cells.survey import space_costs, survey
from automcu.networks.estimate import estimate

SKELETON = Skeleton(stem_channels=8, cells_per_stage=1, resolution=16)
SKELETONS = (
    SKELETON,
    Skeleton(stem_channels=16, cells_per_stage=2, resolution=32),
    Skeleton(stem_channels=4, cells_per_stage=3, resolution=9, input_channels=1, classes=2),
    Skeleton(stem_channels=8, cells_per_stage=2, resolution=28, input_channels=1, ternary=True),
    Skeleton(stem_channels=4, cells_per_stage=1, resolution=16, ternary=True),
)
ROUNDING_BYTES = 2
MOST_GAPS = 2  # of 60 networks
MOST_TERNARY_GAPS = 6  # their kernels' tables are harder to pack around
CELLS = 15_625


@pytest.fixture(scope="module")
def device() -> Device:
    return find_device("stm32f407g-disc1")


@pytest.fixture(scope="module")
def everything(device: Device) -> Survey:
    return survey(device, SKELETON)


def connected() -> int:
    return sum(cell.is_connected for cell in all_cells())


def test_without_limits_every_connected_cell_of_a_small_skeleton_fits(everything: Survey) -> None:
    assert everything.cells == CELLS
    assert everything.disconnected == CELLS - connected()
    assert everything.feasible == len(everything.feasible_cells) == connected()
    assert everything.excluded == {}
    assert everything.smallest.fits


@pytest.mark.parametrize("limit", ["latency_ms", "ram_bytes", "flash_bytes"])
def test_one_limit_splits_the_connected_cells_in_two(
    limit: str, everything: Survey, device: Device
) -> None:
    costs = sorted(getattr(cell, limit) for cell in everything.feasible_cells)
    median = costs[len(costs) // 2]
    found = survey(device, SKELETON, Limits.model_validate({limit: median}))
    within = [cell for cell in everything.feasible_cells if getattr(cell, limit) <= median]
    assert found.feasible == len(within)
    assert found.excluded == {limit.split("_")[0]: connected() - len(within)}
    assert found.feasible + found.disconnected + sum(found.excluded.values()) == CELLS
    assert {cell.index for cell in found.feasible_cells} == {cell.index for cell in within}


def test_a_limit_on_energy_leaves_the_cells_that_the_same_limit_on_time_leaves(
    everything: Survey, device: Device
) -> None:
    milliseconds = sorted(cell.latency_ms for cell in everything.feasible_cells)
    limit = milliseconds[len(milliseconds) // 2] * (1 + 1e-9)
    by_energy = survey(device, SKELETON, Limits(energy_mj=limit * device.power.watt))
    by_time = survey(device, SKELETON, Limits(latency_ms=limit))
    assert by_energy.feasible_cells == by_time.feasible_cells
    assert list(by_energy.excluded) == ["energy"]
    assert by_energy.excluded["energy"] == by_time.excluded["latency"]


def test_a_cell_that_breaks_two_limits_is_counted_for_both(
    everything: Survey, device: Device
) -> None:
    found = survey(device, SKELETON, Limits(latency_ms=1e-6, flash_bytes=1))
    assert found.feasible == 0
    assert found.excluded == {"latency": connected(), "flash": connected()}
    assert [limit.limit for limit in found.smallest.limits] == ["flash", "latency"]
    assert found.front == ()


def test_feasible_cells_come_best_prior_first(everything: Survey) -> None:
    priors = [cell.prior or 0.0 for cell in everything.feasible_cells]
    assert priors == sorted(priors, reverse=True)
    for cell in random.Random(0).sample(everything.feasible_cells, 50):
        assert str(all_cells()[cell.index]) == cell.architecture


def test_nothing_on_the_front_is_beaten_and_everything_else_is(everything: Survey) -> None:
    front = everything.front
    for cell in front:
        assert not any(_beats(other, cell) for other in everything.feasible_cells)
    chosen = {cell.index for cell in front}
    rest = [cell for cell in everything.feasible_cells if cell.index not in chosen]
    for cell in random.Random(1).sample(rest, 200):
        assert any(_at_least_as_good(other, cell) for other in front)


def _at_least_as_good(one: object, other: object) -> bool:
    a, b = ((-(c.prior or 0.0), c.latency_ms, c.flash_bytes) for c in (one, other))  # type: ignore[attr-defined]
    return all(x <= y for x, y in zip(a, b, strict=True))


def _beats(one: object, other: object) -> bool:
    return _at_least_as_good(one, other) and not _at_least_as_good(other, one)


@pytest.mark.parametrize("skeleton", SKELETONS, ids=str)
def test_a_survey_agrees_with_compiling_each_network(skeleton: Skeleton, device: Device) -> None:
    """The arena alone may differ, where one of the two cannot be packed without a gap."""
    costs = space_costs(device, skeleton)
    rows = cell_structures("portable").networks
    gaps = 0
    for edges in random.Random(2).sample(distinct_networks(), 60):
        row, cell = rows[edges], str(Cell(edges))
        alone = estimate(Architecture(cell=cell, skeleton=skeleton), device)
        assert costs.latency_ms[row] == pytest.approx(alone.latency_ms, rel=1e-9), cell
        assert abs(costs.flash_bytes[row] - alone.flash_bytes) <= ROUNDING_BYTES, cell
        assert costs.arena_bytes[row] == pytest.approx(alone.arena_bytes, rel=0.1), cell
        assert costs.ram_bytes[row] - costs.arena_bytes[row] == alone.ram_bytes - alone.arena_bytes
        gaps += costs.arena_bytes[row] != alone.arena_bytes
    assert gaps <= (MOST_TERNARY_GAPS if skeleton.ternary else MOST_GAPS)


def test_the_smallest_network_is_judged_as_any_other(everything: Survey, device: Device) -> None:
    skip = Cell(("none", "none", "none", "skip_connect", "none", "none"))
    alone = estimate(Architecture(cell=str(skip), skeleton=SKELETON), device)
    assert everything.smallest == check(alone, device)
    assert min(c.flash_bytes for c in everything.feasible_cells) == alone.flash_bytes
    assert min(c.latency_ms for c in everything.feasible_cells) == pytest.approx(alone.latency_ms)


def test_the_shipped_table_of_cells_is_what_the_passes_make_of_them() -> None:
    """Where this fails after a change to the passes: python -m automcu.networks.cells.structure."""
    tables = {kernels: cell_structures(kernels) for kernels in overwrites()}
    for edges in random.Random(3).sample(distinct_networks(), 150):
        layers, _ = cell_layers(edges)
        for kernels, table in tables.items():
            row = table.networks[edges]
            assert tuple(table.counts[row]) == count_kinds(layers)
            best = fewest_tensors(layers, overwrites()[kernels])
            assert {tuple(order) for order in table.tensors[row].tolist()} == set(best)
