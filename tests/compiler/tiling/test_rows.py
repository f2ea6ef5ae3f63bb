"""The laws of tiling a chain by rows."""

from hypothesis import given
from hypothesis import strategies as st

from automcu.compiler.tensor import Window
from automcu.compiler.tiling.steps import Rows, plan_rows


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[int], list[Window], int]:
    """Heights of the tensors, windows between them, rows at a time."""
    heights = [draw(st.integers(1, 40))]
    windows = []
    for _ in range(draw(st.integers(2, 4))):
        size = draw(st.integers(1, min(5, heights[-1])))
        top, bottom = (draw(st.integers(0, size - 1)) for _ in range(2))
        window = Window(size, 1, (draw(st.integers(1, 4)), 1), (top, 0, bottom, 0))
        windows.append(window)
        heights.append(window.output_size(heights[-1], 1)[0])
    return heights, windows, draw(st.integers(1, 16))


@given(chains())
def test_every_row_of_the_result_is_made_once_and_in_order(
    chain: tuple[list[int], list[Window], int],
) -> None:
    heights, windows, rows = chain
    made = [stripe.stages[-1].made for stripe in plan_rows(heights, windows, rows)]
    assert [row for rows in made for row in range(rows.first, rows.end)] == list(range(heights[-1]))


@given(chains())
def test_no_row_is_made_twice(chain: tuple[list[int], list[Window], int]) -> None:
    stripes = plan_rows(*chain)
    for index in range(len(chain[1])):
        made = [s.stages[index].made for s in stripes if s.stages[index] is not None]
        numbers = [row for rows in made for row in range(rows.first, rows.end)]
        assert numbers == sorted(set(numbers))


@given(chains())
def test_what_is_read_has_been_made_and_is_still_held(
    chain: tuple[list[int], list[Window], int],
) -> None:
    heights, windows, _ = chain
    content: list[set[int]] = [set(range(heights[0])), *(set() for _ in windows)]
    for stripe in plan_rows(*chain):
        for index, kept in enumerate(stripe.kept, start=1):
            assert set(range(kept.first, kept.end)) <= content[index]
            content[index] = set(range(kept.first, kept.end))
        for index, stage in enumerate(stripe.stages):
            if stage is not None:
                assert set(range(stage.read.first, stage.read.end)) <= content[index]
                content[index + 1] |= set(range(stage.made.first, stage.made.end))
        for index, held in enumerate(stripe.held, start=1):
            assert content[index] == set(range(held.first, held.end))


@given(chains())
def test_padding_and_rows_read_are_what_the_window_covers(
    chain: tuple[list[int], list[Window], int],
) -> None:
    _, windows, _ = chain
    for stripe in plan_rows(*chain):
        for window, stage in zip(windows, stripe.stages, strict=True):
            if stage is not None:
                covered = stage.pad_top + len(stage.read) + stage.pad_bottom
                made = (covered - window.reach[0]) // window.stride[0] + 1
                assert made == len(stage.made)


def test_a_pair_of_3x3_windows_keeps_two_rows_between_stripes() -> None:
    same = Window(3, 1, padding=(1, 0, 1, 0))
    first, second, *_ = plan_rows([16, 16, 16], [same, same], 4)
    assert (first.stages[0].made, first.stages[1].made) == (Rows(0, 5), Rows(0, 4))
    assert (second.kept[0], second.stages[0].made) == (Rows(3, 5), Rows(5, 9))
