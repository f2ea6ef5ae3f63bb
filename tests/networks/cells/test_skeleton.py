import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from automcu.errors import WrongInputError
from automcu.networks.cells.cell import Cell, all_cells
from automcu.networks.cells.skeleton import (
    Architecture,
    Skeleton,
    count_live_macs,
    count_live_parameters,
    count_macs,
    count_parameters,
    stages,
)

sizes = st.integers(min_value=1, max_value=40)
skeletons = st.builds(
    Skeleton,
    stem_channels=sizes,
    cells_per_stage=st.integers(min_value=1, max_value=6),
    resolution=sizes,
    input_channels=st.integers(min_value=1, max_value=4),
    classes=st.integers(min_value=1, max_value=100),
)
indices = st.integers(min_value=0, max_value=15_624)


def architecture(cell, skeleton=None):
    return Architecture(cell=str(cell), skeleton=skeleton or Skeleton())


def test_parameters_of_all_cells_equal_the_benchmarks(benchmark_rows):
    counted = [count_parameters(architecture(cell)) for cell in all_cells()]
    assert counted == [int(row["params"]) for row in benchmark_rows]


def test_macs_of_all_cells_equal_the_benchmarks(benchmark_rows):
    counted = [count_macs(architecture(cell)) for cell in all_cells()]
    assert counted == [int(row["macs"]) for row in benchmark_rows]


def test_stages_double_the_channels_and_halve_the_resolution_rounding_up():
    shapes = [(s.channels, s.resolution) for s in stages(Skeleton(stem_channels=6, resolution=9))]
    assert shapes == [(6, 9), (12, 5), (24, 3)]


def test_a_digits_network_is_counted_as_by_hand():
    cell = Cell.parse("|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|")
    skeleton = Skeleton(stem_channels=2, cells_per_stage=1, resolution=8, input_channels=1)
    stem, first, second, third = 18 * 64, 4 * 64, 16 * 16, 64 * 4
    reduce_first, reduce_second = (72 + 144 + 8) * 16, (288 + 576 + 32) * 4
    head = 8 * 10 + 10
    assert count_macs(architecture(cell, skeleton)) == (
        stem + first + reduce_first + second + reduce_second + third + head
    )


@settings(deadline=None)
@given(indices, skeletons)
def test_the_live_count_is_the_count_of_the_cell_without_its_dead_edges(index, skeleton):
    cell = Cell.from_index(index)
    full, bare = architecture(cell, skeleton), architecture(cell.without_dead_edges(), skeleton)
    assert count_live_parameters(full) == count_parameters(bare) <= count_parameters(full)
    assert count_live_macs(full) == count_macs(bare) <= count_macs(full)


def test_a_dead_convolution_counts_for_the_benchmark_but_not_as_live():
    unread = Cell.parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    weights_and_normalisation = 5 * sum(9 * c * c + 2 * c for c in (16, 32, 64))
    difference = count_parameters(architecture(unread)) - count_live_parameters(
        architecture(unread)
    )
    assert difference == weights_and_normalisation


@settings(deadline=None)
@given(indices, skeletons)
def test_one_more_cell_a_stage_never_makes_a_network_smaller(index, skeleton):
    cell = Cell.from_index(index)
    deeper = skeleton.model_copy(update={"cells_per_stage": skeleton.cells_per_stage + 1})
    assert count_parameters(architecture(cell, deeper)) >= count_parameters(
        architecture(cell, skeleton)
    )
    assert count_macs(architecture(cell, deeper)) >= count_macs(architecture(cell, skeleton))


def test_a_misspelt_cell_cannot_be_counted():
    with pytest.raises(WrongInputError, match="is not a NAS-Bench-201 cell"):
        count_macs(Architecture(cell="conv", skeleton=Skeleton()))


def test_a_skeleton_without_channels_or_cells_is_refused():
    with pytest.raises(ValidationError, match="stem_channels"):
        Skeleton(stem_channels=0)
    with pytest.raises(ValidationError, match="cells_per_stage"):
        Skeleton(cells_per_stage=-1)
