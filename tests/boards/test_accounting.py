import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from automcu.boards.timing import accounting
from automcu.boards.timing.accounting import native_library, new_accounting
from automcu.boards.virtual import registers
from automcu.boards.virtual.machine import CycleCount, count_cycles
from automcu.boards.virtual.memory import BoardMemory, new_engine
from automcu.errors import ToolError
from automcu.mcu import Device
from tests.boards.conftest import Builder
from tests.boards.programs import MIXED_WORK
from tests.boards.python_accounting import new_python_accounting

DeviceOf = Callable[..., Device]
TIMINGS = {
    "no waits": (0, 16, 64, 8),
    "a cache that holds all": (5, 16, 64, 8),
    "a cache that holds little": (7, 8, 3, 2),
    "no cache": (5, 32, 0, 0),
}


@pytest.fixture(scope="module")
def mixed_work(build: Builder) -> Path:
    return build.elf(MIXED_WORK)


def count(program: Path, device: Device, variant: str) -> CycleCount:
    with pytest.MonkeyPatch.context() as patch:
        if variant == "python":
            patch.setattr(registers, "new_accounting", new_python_accounting)
        return count_cycles(program, device, "work", (500,))


@pytest.mark.parametrize("family", ["stm32f4", "stm32f7", "stm32u5"])
@pytest.mark.parametrize("timing", TIMINGS)
def test_both_accountings_count_the_same(
    mixed_work: Path, device_of: DeviceOf, family: str, timing: str
) -> None:
    figures = ("wait_states", "line_bytes", "instruction_lines", "data_lines")
    device = device_of(family, flash_timing=dict(zip(figures, TIMINGS[timing], strict=True)))
    native = count(mixed_work, device, "native")
    gc.collect()
    assert native == count(mixed_work, device, "python")
    assert native.instructions > 5000
    assert (native.cycles > native.core_cycles) == (timing != "no waits")


def test_counting_does_not_change_what_is_computed(mixed_work: Path, device: Device) -> None:
    def expected(rounds: int) -> int:
        table = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4] + [0] * 236
        memory = [0] * 64
        state = 1
        for i in range(rounds):
            step = i + (state & 3)
            state = [
                state * 1664525 + 1013904223,
                state ^ state >> 7,
                state + table[state & 0xFF],
                state // (step + 1),
                state << 5 | state >> 27,
                state - memory[step & 63],
                ~state,
            ][step % 7] % 2**32
            memory[i & 63] = (memory[i & 63] + state) % 2**32
            if state & 0x11 == 0x10:
                state = (state + table[state >> 8 & 0xFF]) % 2**32
        return state

    assert count(mixed_work, device, "native").result == expected(500)
    assert count(mixed_work, device, "python").result == expected(500)


def test_a_full_table_of_blocks_is_started_anew(
    mixed_work: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = count(mixed_work, device, "native")
    monkeypatch.setattr("automcu.boards.timing.accounting._BLOCK_CAPACITY", 16)
    assert count(mixed_work, device, "native") == before
    monkeypatch.setattr("automcu.boards.timing.accounting._LINE_CYCLES_CAPACITY", 40)
    assert count(mixed_work, device, "native") == before


def test_an_error_while_timing_a_block_comes_out(
    mixed_work: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ArithmeticError("no such block")

    monkeypatch.setattr("automcu.boards.timing.blocks.BlockTimer._time", fail)
    for variant in ("native", "python"):
        with pytest.raises(ArithmeticError, match="no such block"):
            count(mixed_work, device, variant)


def test_without_a_compiler_there_is_an_error_with_the_next_step(
    device: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_compiler() -> None:
        raise ToolError("There is no C compiler. Install one.")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setattr(accounting, "host_compiler", no_compiler)
    native_library.cache_clear()
    try:
        with pytest.raises(ToolError, match="Install one"):
            new_accounting(new_engine(device, BoardMemory(device)), device)
    finally:
        native_library.cache_clear()


def test_without_a_place_for_the_library_it_is_compiled_for_this_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "automcu").write_text("where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    native_library.cache_clear()
    try:
        assert native_library().accounting_bytes() > 0
    finally:
        native_library.cache_clear()


def test_the_library_is_compiled_once_and_leaves_nothing_else_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    native_library.cache_clear()
    try:
        native_library()
        (library,) = (tmp_path / "automcu").iterdir()
        compiled_at = library.stat().st_mtime_ns
        native_library.cache_clear()
        native_library()
        assert library.stat().st_mtime_ns == compiled_at
    finally:
        native_library.cache_clear()
