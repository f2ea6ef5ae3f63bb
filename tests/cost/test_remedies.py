"""A network that does not fit brings changes that do, and their figures are true."""

import pytest

from automcu.cost import architecture_remedies, check, estimate, with_remedies
from automcu.devices import Device, find_device, shipped_devices
from automcu.space import Architecture, Skeleton

CELL = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|none~2|"
BIG = Architecture(cell=CELL, skeleton=Skeleton(stem_channels=8, cells_per_stage=2, resolution=16))


@pytest.fixture
def device() -> Device:
    return find_device("stm32f407g-disc1")


def test_each_change_fits_and_is_the_smallest_of_its_kind(device: Device) -> None:
    now = estimate(BIG, device)
    limit = now.latency_ms * 0.8
    remedies = architecture_remedies(BIG, device, [], max_latency_ms=limit)
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
    remedies = architecture_remedies(BIG, device, [], max_latency_ms=limit)
    verdict = with_remedies(check(now, device, max_latency_ms=limit), remedies)
    (broken,) = verdict.limits
    assert broken.help is not None
    assert f"{remedies[0].change} ({remedies[0].latency_ms:.3g} ms)" in broken.help
    assert broken.layer is not None
    assert broken.layer in broken.help


def test_where_nothing_fits_the_help_says_so(device: Device) -> None:
    now = estimate(BIG, device)
    limit = 1e-6
    remedies = architecture_remedies(BIG, device, [], max_latency_ms=limit)
    verdict = with_remedies(check(now, device, max_latency_ms=limit), remedies)
    assert remedies == ()
    assert "no single smaller step" in (verdict.limits[0].help or "")
