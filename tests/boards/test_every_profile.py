"""Every STM32 profile has firmware and a virtual board: built, flashed, run, bit by bit."""

from pathlib import Path

import pytest

from automcu.boards import bench_project
from automcu.devices import Device, find_device, shipped_devices
from benchmarks.small_project import small_project

STM32 = [device.id for device in shipped_devices().values() if device.family.startswith("stm32")]


@pytest.fixture(params=STM32)
def device(request: pytest.FixtureRequest) -> Device:
    return find_device(request.param)


def test_a_network_runs_on_the_virtual_board_as_in_the_reference(
    device: Device, tmp_path: Path
) -> None:
    project = small_project(tmp_path / "project", device)
    found = bench_project(project, device, "virtual", runs=3)
    assert (found.inputs, found.mismatches) == (4, 0)
    assert (found.identity.board, found.identity.clock_hz) == (device.id, device.clock_hz)
    assert found.cycles > 100_000  # for 163,452 multiply-accumulates
    assert 0.9 < sum(layer.cycles for layer in found.layers) / found.cycles < 1.1
    assert 0 < found.arena_bytes <= found.identity.arena_bytes
    assert 0 < found.stack_bytes < 4096


def test_all_families_are_among_them() -> None:
    families = {find_device(name).family for name in STM32}
    assert families == {"stm32f4", "stm32f7", "stm32l4", "stm32h7", "stm32u5"}
    assert len(STM32) >= 9
