"""Profiles of bare parts, from the part data of `modm-devices`."""

from pathlib import Path

import pytest

from automcu.errors import WrongInputError
from automcu.mcu import (
    Device,
    find_device,
    find_part,
    load_profile,
    profile_of,
    shipped_devices,
    write_profile,
)
from automcu.mcu.find import fitted_path
from automcu.mcu.profile import FittedFigures

SHIPPED = list(shipped_devices().values())


def profile(part: str) -> Device:
    return profile_of(find_part(part), SHIPPED)


@pytest.mark.parametrize(
    "part, flash_kb, arena_kb, megahertz, wait_states",
    [
        ("STM32F401RET6", 512, 96, 84, 2),
        ("STM32F429ZIT6", 2048, 192, 180, 5),
        ("STM32F722ZET6", 512, 192, 216, 7),
        ("STM32F767ZIT6", 2048, 384, 216, 7),
        ("STM32L476RGT6", 1024, 96, 80, 4),
        ("STM32L4S5VIT6", 2048, 640, 120, 5),
        ("STM32H733VGT6", 1024, 320, 520, 3),
        ("STM32H745XIH6", 1024, 512, 480, 4),
        ("STM32U585AII6", 2048, 768, 160, 4),
    ],
)
def test_a_part_has_the_datasheets_figures(
    part: str, flash_kb: int, arena_kb: int, megahertz: int, wait_states: int
) -> None:
    device = profile(part)
    assert device.flash_bytes == flash_kb * 1024
    assert device.region_for("arena").size == arena_kb * 1024
    assert device.clock_hz == megahertz * 1_000_000
    assert device.flash_timing.wait_states == wait_states


@pytest.mark.parametrize(
    "shipped", [one for one in SHIPPED if one.family.startswith("stm32")], ids=lambda one: one.id
)
def test_generated_profiles_agree_with_those_written_by_hand(shipped: Device) -> None:
    generated = profile(shipped.mcu)
    assert (generated.core, generated.family, generated.isa) == (
        shipped.core,
        shipped.family,
        shipped.isa,
    )
    assert generated.clock_hz == shipped.clock_hz
    assert generated.flash_timing == shipped.flash_timing
    assert generated.flashing.bootloader_device_id == shipped.flashing.bootloader_device_id
    assert generated.region_for("arena").address == shipped.region_for("arena").address
    assert generated.region_for("arena").size == shipped.region_for("arena").size


@pytest.mark.parametrize("part", ["STM32F429ZIT6", "STM32H743ZIT6", "nrf52840-qiaa"])
def test_a_written_profile_reads_back(part: str, tmp_path: Path) -> None:
    device = profile(part)
    assert load_profile(write_profile(device, tmp_path, "A comment\nof two lines")) == device


@pytest.mark.parametrize(
    "part, sectors",
    [
        ("STM32F429ZIT6", [(4, 16), (1, 64), (7, 128)] * 2),
        ("STM32F413ZHT6", [(4, 16), (1, 64), (11, 128)]),
        ("STM32F401CBU6", [(4, 16), (1, 64)]),
        ("STM32F767ZIT6", [(4, 32), (1, 128), (7, 256)]),
        ("STM32H750VBT6", [(1, 128)]),
        ("STM32L476RGT6", [(512, 2)]),
    ],
)
def test_sectors_are_the_reference_manuals(part: str, sectors: list[tuple[int, int]]) -> None:
    runs = profile(part).flashing.flash_sectors
    assert [(run.count, run.bytes // 1024) for run in runs] == sectors


def test_latency_figures_are_a_relatives_and_say_so() -> None:
    device = profile("STM32F429ZIT6")
    assert device.latency
    assert all(figures.source == "virtual" for figures in device.latency)
    origin = device.sources["latency"]
    names = [one.id for one in SHIPPED if one.latency and one.core == device.core]
    assert any(f"copied from {name}" in origin for name in names)


def test_a_part_without_its_suffix_brings_the_parts_that_have_one() -> None:
    with pytest.raises(WrongInputError, match="as in STM32F429ZIT6"):
        find_part("STM32F429ZI")


def test_copied_latency_figures_have_no_error_bar_and_are_written_without_one(
    tmp_path: Path,
) -> None:
    part = profile("STM32F429ZIT6")
    assert part.latency
    assert [one.network_percent for one in part.latency] == [None] * len(part.latency)
    path = write_profile(part, tmp_path, "a part")
    assert [
        one.network_percent for one in FittedFigures.load(fitted_path(tmp_path, part.id)).latency
    ] == [None] * 2
    assert load_profile(path) == part


def test_a_misspelt_part_brings_the_nearest() -> None:
    with pytest.raises(WrongInputError, match=r"STM32F4[0-9]+ZIT6"):
        find_part("stm32f499zit6")


@pytest.mark.parametrize("part", ["STM32G474RET6", "STM32F030C8T6", "STM32H7A3ZIT6"])
def test_a_family_without_firmware_is_reported(part: str) -> None:
    with pytest.raises(WrongInputError, match=f"no firmware for {part}"):
        profile(part)


def test_nordic_parts_have_their_memory_and_core() -> None:
    small, large = profile("nrf52832-qfaa"), profile("nrf5340-qkaa")
    assert (small.core, small.flash_bytes, small.ram_bytes) == ("cortex-m4", 512 << 10, 64 << 10)
    assert (large.core, large.flash_bytes, large.ram_bytes) == ("cortex-m33", 1 << 20, 512 << 10)


def test_a_users_own_folder_is_found_without_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUTOMCU_PROFILES", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    write_profile(profile("STM32F429ZIT6"), tmp_path / "automcu" / "hw_profiles", "mine")
    assert find_device("stm32f429zi").mcu == "STM32F429ZIT6"
