from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from automcu.boards.timing.blocks import FlashModel, FlashRange, flash_model
from automcu.mcu import Device
from tests.boards.python_accounting import FlashStalls, LineCache

lines = st.integers(0, 20)


def model(**changes: int) -> FlashModel:
    figures = {"line_bytes": 16, "wait_states": 5, "instruction_lines": 2, "data_lines": 2}
    ranges = (FlashRange(address=0x0800_0000, size=0x1000, first_line=0),)
    return FlashModel(ranges=ranges, **{**figures, **changes})


@given(st.integers(1, 5), st.lists(lines))
def test_a_line_is_held_when_it_is_among_the_last_different_ones(
    capacity: int, touched: list[int]
) -> None:
    cache = LineCache(capacity)
    for index, line in enumerate(touched):
        recent: list[int] = []
        for earlier in reversed(touched[:index]):
            if earlier not in recent:
                recent.append(earlier)
        assert cache.touch(line) == (line in recent[:capacity])


def test_a_cache_without_lines_still_holds_the_last_read() -> None:
    cache = LineCache(0)
    assert [cache.touch(line) for line in (7, 7, 8, 7)] == [False, True, False, False]


def test_reads_cost_the_wait_states_once_per_line_that_is_not_held() -> None:
    stalls = FlashStalls(model())
    reads = [0x0800_0000, 0x0800_000C, 0x0800_0010, 0x0800_0020, 0x0800_0000]
    assert [stalls.read(address, 4) for address in reads] == [5, 0, 5, 5, 5]


def test_a_read_across_two_lines_needs_both() -> None:
    stalls = FlashStalls(model())
    assert stalls.read(0x0800_000E, 4) == 10
    assert stalls.read(0x0800_0010, 4) == 0


def test_reads_outside_of_flash_are_free() -> None:
    stalls = FlashStalls(model())
    assert stalls.read(0x2000_0000, 4) == 0
    assert stalls.read(0x0800_1000, 4) == 0


def test_going_straight_on_costs_what_execution_has_not_covered() -> None:
    stalls = FlashStalls(model())
    assert stalls.fetch(0, (8, 2, 4)) == 5 + 0 + 3  # jump; then 8 and 2 cycles cover 5 and 2


def test_cycles_of_several_blocks_in_one_line_add_up() -> None:
    stalls = FlashStalls(model())
    assert stalls.fetch(0, (2,)) == 5
    assert stalls.fetch(0, (2,)) == 0
    assert stalls.fetch(1, (1,)) == 1


def test_jumping_costs_all_wait_states_unless_the_line_is_held() -> None:
    stalls = FlashStalls(model())
    assert stalls.fetch(0, (8,)) == 5
    assert stalls.fetch(5, (8,)) == 5
    assert stalls.fetch(0, (8,)) == 0
    assert stalls.fetch(9, (8,)) == 5
    assert stalls.fetch(5, (8,)) == 5


def test_lines_of_several_flash_regions_do_not_collide(
    device_of: Callable[..., Device],
) -> None:
    base = device_of()
    second = base.memory[0].model_copy(update={"name": "more", "address": 0x0900_0000})
    device = device_of(memory=[r.model_dump() for r in (*base.memory, second)])
    figures = flash_model(device)
    assert figures.line_at(0x0800_0010) == 1
    assert figures.line_at(0x0900_0010) == figures.lines // 2 + 1
    assert figures.line_at(0x2000_0000) is None
