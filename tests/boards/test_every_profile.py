"""Every Cortex-M profile has firmware and a virtual board: built, flashed, run, bit by bit."""

from pathlib import Path

import pytest

from automcu.boards.bench import bench_project
from automcu.mcu import Device, find_device, find_part, profile_of, shipped_devices
from automcu.mcu.family import families, family_of
from benchmarks.small_project import small_project

CORTEX_M = [one.id for one in shipped_devices().values() if family_of(one).virtual]


BARE_PART = "nrf52840-qiaa"


@pytest.fixture(params=[*CORTEX_M, BARE_PART])
def device(request: pytest.FixtureRequest) -> Device:
    if request.param in CORTEX_M:
        return find_device(request.param)
    return profile_of(find_part(request.param), list(shipped_devices().values()))


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
    tested = {find_device(name).family for name in CORTEX_M} | {"nrf52"}
    assert tested == {family.name for family in families().values() if family.virtual}
    assert len(CORTEX_M) >= 10


@pytest.mark.parametrize("name", ["stm32f407g-disc1", "stm32f746g-disco", "nucleo-u575zi-q"])
def test_the_compiler_that_pip_brings_serves_every_core(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOMCU_COMPILER", "zig")
    device = find_device(name)
    project = small_project(tmp_path / "project", device)
    found = bench_project(project, device, "virtual", runs=3)
    assert found.mismatches == 0
    assert found.identity.compiler.startswith("Clang")
