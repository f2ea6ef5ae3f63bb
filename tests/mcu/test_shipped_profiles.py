"""The shipped profiles against the part data of the `modm-devices` package, where it is there."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from automcu.mcu import Device, all_devices, load_profile
from automcu.records import resource_folder

DEVICES = list(all_devices().values())
PROFILES = sorted(resource_folder("hw_profiles").glob("*.toml"))
STM32 = [device for device in DEVICES if device.family.startswith("stm32")]
# The package gives the STM32L4+ the wait states of the STM32L4 (RM0432 has 5 at 120 MHz), lacks the
# F7's step from 210 to 216 MHz (RM0385 has 7 above 210), and has the H7's at its bus clock.
WITH_WAIT_STATES = [device for device in STM32 if device.family == "stm32f4"]


def by_id(device: Device) -> str:
    return device.id


@cache
def part_data(mcu: str) -> Any:
    """The package's record of one part; its files are named by ranges of part numbers."""
    parser = pytest.importorskip("modm_devices.parser")
    import modm_devices

    folder = Path(modm_devices.__file__).parent / "resources/devices/stm32"
    series = mcu[:7].lower()
    for file in sorted(folder.glob(f"{series}-*.xml")):
        if not re.search(rf"[-_]{mcu[7:9].lower()}(?=[-_.])", file.name):
            continue
        for part in parser.DeviceParser().parse(str(file)).get_devices():
            if part.partname == mcu.lower():
                return part
    raise AssertionError(f"modm-devices has no {mcu}")


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_profile_is_what_a_person_wrote_and_its_fitted_figures_lie_beside_it(path: Path) -> None:
    text = path.read_text()
    assert "[[latency]]" not in text
    assert len(text.splitlines()) <= 100
    assert {one.compiler for one in load_profile(path).latency} in ({"gcc"}, {"gcc", "zig"})


@pytest.mark.parametrize("device", DEVICES, ids=by_id)
def test_every_figure_names_its_source(device: Device) -> None:
    assert {"memory", "clock_hz", "flash_timing", "oscillator", "serial", "power"} <= set(
        device.sources
    )
    assert all(len(source) > 10 for source in device.sources.values())


@pytest.mark.parametrize("device", STM32, ids=by_id)
def test_core_and_clock_are_the_parts(device: Device) -> None:
    part = part_data(device.mcu)
    assert part.get_driver("core")["type"] == device.core
    highest = max(int(hz) for hz in part.get_driver("rcc")["max-frequency"])
    # The package lists the L4+ at the 80 MHz of the L4.
    assert device.clock_hz <= max(highest, 120_000_000)


@pytest.mark.parametrize("device", STM32, ids=by_id)
def test_memory_lies_within_the_parts_memory(device: Device) -> None:
    spans = [
        (int(memory["start"], 16), int(memory["size"]))
        for memory in part_data(device.mcu).get_driver("core")["memory"]
    ]
    for region in device.memory:
        inside = sum(
            size
            for start, size in spans
            if region.address <= start and start + size <= region.address + region.size
        )
        # STM32L4: the package lists SRAM2 at its alias 0x1000_0000 only.
        aliased = 65_536 if device.family == "stm32l4" and region.name == "sram" else 0
        assert inside + aliased == region.size, region.name


@pytest.mark.parametrize("device", WITH_WAIT_STATES, ids=by_id)
def test_wait_states_are_those_at_the_highest_voltage(device: Device) -> None:
    tables = part_data(device.mcu).get_driver("flash")["latency"]
    at_most_volts = max(tables, key=lambda table: int(table["vcore-min"]))["wait-state"]
    enough = [int(w["ws"]) for w in at_most_volts if int(w["hclk-max"]) >= device.clock_hz]
    assert device.flash_timing.wait_states == min(enough)


@pytest.mark.parametrize("device", STM32, ids=by_id)
@pytest.mark.parametrize("direction", ["tx", "rx"])
def test_pins_carry_the_usarts_signals(device: Device, direction: str) -> None:
    serial = device.serial
    pin = serial.transmit_pin if direction == "tx" else serial.receive_pin
    name, instance = re.fullmatch(r"([A-Z]+)(\d)", serial.peripheral).groups()  # type: ignore[union-attr]
    gpio = next(
        g
        for g in part_data(device.mcu).get_driver("gpio")["gpio"]
        if f"P{g['port']}{g['pin']}".upper() == pin
    )
    assert any(
        signal["driver"] == name.lower()
        and signal.get("instance") == instance
        and signal["name"] == direction
        and int(signal["af"]) == serial.alternate_function
        for signal in gpio["signal"]
    )
