"""Which limit breaks, by how much, where, and what would help."""

import pytest

from automcu.brief import Limits
from automcu.cost.records import Estimate, LayerCost
from automcu.cost.verdict import check
from automcu.mcu import Device, find_device


@pytest.fixture
def device() -> Device:
    return find_device("stm32f407g-disc1")


def layer(name: str, cycles: int, weights: int, shape: tuple[int, int, int]) -> LayerCost:
    return LayerCost(
        name=name,
        op="conv 3x3",
        variant="portable",
        macs=1,
        cycles=cycles,
        weight_bytes=weights,
        output_shape=shape,
    )


@pytest.fixture
def estimate(device: Device) -> Estimate:
    """100,000 bytes of flash, 50,000 of RAM, 30,000 of them the arena, 20 ms."""
    return Estimate(
        device=device.id,
        flash_bytes=100_000,
        weight_bytes=80_000,
        code_bytes=20_000,
        ram_bytes=50_000,
        arena_bytes=30_000,
        stack_bytes=4_096,
        cycles=3_360_000,
        latency_ms=20.0,
        energy_millijoule=2.6,
        macs=3,
        layers=(
            layer("wide", cycles=1_000_000, weights=1_000, shape=(32, 32, 16)),
            layer("heavy", cycles=1_000_000, weights=70_000, shape=(4, 4, 64)),
            layer("slow", cycles=1_360_000, weights=9_000, shape=(16, 16, 32)),
        ),
    )


def test_what_is_within_all_limits_fits(estimate: Estimate, device: Device) -> None:
    verdict = check(estimate, device)
    assert verdict.fits
    assert verdict.limits == ()
    assert verdict.estimate == estimate
    assert verdict.device == device.id


def test_a_limit_that_is_met_exactly_is_kept(estimate: Estimate, device: Device) -> None:
    verdict = check(
        estimate, device, Limits(latency_ms=20.0, ram_bytes=50_000, flash_bytes=100_000)
    )
    assert verdict.fits


@pytest.mark.parametrize(
    ("limits", "name", "needed", "where"),
    [
        ({"flash_bytes": 99_999}, "flash", 100_000, "heavy"),
        ({"ram_bytes": 49_999}, "ram", 50_000, "wide"),
        ({"latency_ms": 19.99}, "latency", 20.0, "slow"),
        ({"energy_mj": 2.59}, "energy", 2.6, "slow"),
    ],
)
def test_the_limit_that_breaks_is_named_with_the_layer_that_weighs_most(
    estimate: Estimate,
    device: Device,
    limits: dict[str, float],
    name: str,
    needed: float,
    where: str,
) -> None:
    verdict = check(estimate, device, Limits.model_validate(limits))
    assert not verdict.fits
    (limit,) = verdict.limits
    assert (limit.limit, limit.needed, limit.layer) == (name, needed, where)
    assert limit.available == next(iter(limits.values()))
    assert limit.help is not None
    assert where in limit.help


def test_every_limit_that_breaks_is_listed(estimate: Estimate, device: Device) -> None:
    verdict = check(estimate, device, Limits(latency_ms=1, energy_mj=1, ram_bytes=1, flash_bytes=1))
    assert [limit.limit for limit in verdict.limits] == ["flash", "ram", "latency", "energy"]


def test_the_device_limits_where_the_brief_does_not(estimate: Estimate, device: Device) -> None:
    large = estimate.model_copy(
        update={"flash_bytes": device.flash_bytes + 1, "ram_bytes": device.ram_bytes + 1}
    )
    limits = check(large, device, Limits(ram_bytes=10**9, flash_bytes=10**9)).limits
    assert [(limit.limit, limit.available) for limit in limits] == [
        ("flash", device.flash_bytes),
        ("ram", device.ram_bytes),
    ]


def test_the_arena_has_to_fit_one_region_whatever_the_sum_is(
    estimate: Estimate, device: Device
) -> None:
    region = device.region_for("arena").size
    assert region < device.ram_bytes
    over = estimate.model_copy(update={"arena_bytes": region + 1, "ram_bytes": region + 5_000})
    (limit,) = check(over, device).limits
    assert (limit.limit, limit.needed, limit.available) == ("ram", region + 1, region)
    within = estimate.model_copy(update={"arena_bytes": region, "ram_bytes": region + 5_000})
    assert check(within, device).fits
