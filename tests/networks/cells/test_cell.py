import random
from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automcu.errors import WrongInputError
from automcu.networks.cells.cell import (
    EDGES,
    OPERATIONS,
    Cell,
    all_cells,
    canonical_form,
    codes_by_index,
    isomorphism_classes,
)

cells = st.builds(Cell, st.tuples(*[st.sampled_from(OPERATIONS)] * len(EDGES)))

RESNET = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"


@settings(deadline=None)
@given(cells)
def test_a_printed_cell_parses_back_to_itself(cell):
    assert Cell.parse(str(cell)) == cell


@settings(deadline=None)
@given(cells)
def test_an_index_names_exactly_its_cell(cell):
    assert Cell.from_index(cell.index) == cell


def test_a_cell_prints_in_the_benchmarks_own_notation():
    cell = Cell(
        ("nor_conv_3x3", "none", "nor_conv_3x3", "skip_connect", "none", "skip_connect"),
    )
    assert str(cell) == RESNET


def test_the_resnet_cell_has_the_number_that_the_benchmark_gives_it():
    assert Cell.parse(RESNET).index == 11472


def test_the_first_cells_stand_in_the_order_that_the_benchmark_asserts():
    assert [str(Cell.from_index(index)) for index in (0, 9)] == [
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|"
        "+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
        "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
    ]


def test_all_cells_come_in_the_benchmarks_order(benchmark_rows):
    codes = ["".join(str(OPERATIONS.index(op)) for op in cell.edges) for cell in all_cells()]
    assert codes == [row["code"] for row in benchmark_rows]


def test_every_cell_appears_once_at_its_own_index():
    assert [cell.index for cell in all_cells()] == list(range(15_625))
    assert len(set(all_cells())) == 15_625


def test_computing_the_order_leaves_the_global_generator_alone():
    random.seed(5)
    before = random.getstate()
    codes_by_index.cache_clear()
    assert codes_by_index()[:2] == (13931, 11791)
    assert random.getstate() == before


def test_inputs_of_a_node_may_be_written_in_any_order():
    swapped = "|nor_conv_3x3~0|+|nor_conv_3x3~1|none~0|+|skip_connect~2|skip_connect~0|none~1|"
    assert Cell.parse(swapped) == Cell.parse(RESNET)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "nodes"),
        ("|none~0|+|none~0|none~1|", "2 nodes"),
        (RESNET + "+|none~0|", "4 nodes"),
        (RESNET.replace("nor_conv_3x3", "nor_conv_5x5"), "'nor_conv_5x5'"),
        ("none~0+|none~0|none~1|+|none~0|none~1|none~2|", "not enclosed"),
        ("|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "twice"),
        ("|none~0|+|none~0|none~2|+|none~0|none~1|none~2|", "inputs 0, 1"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none|", "inputs 0, 1, 2"),
        ("|+|+|", "not enclosed"),
    ],
)
def test_a_misspelt_cell_is_refused_with_its_mistake(text, complaint):
    with pytest.raises(WrongInputError, match="is not a NAS-Bench-201 cell") as caught:
        Cell.parse(text)
    assert complaint in str(caught.value)
    assert str(caught.value).count("\n") == 0


@settings(deadline=None)
@given(st.text(alphabet="|~+0123none_skip", max_size=60))
def test_any_text_either_parses_or_is_refused(text):
    try:
        cell = Cell.parse(text)
    except WrongInputError:
        return
    assert cell in all_cells()


def test_a_very_long_text_is_not_repeated_in_the_message():
    with pytest.raises(WrongInputError) as caught:
        Cell.parse("x" * 100_000)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("index", [-1, 15_625])
def test_an_index_outside_the_space_is_refused(index):
    with pytest.raises(WrongInputError, match="from 0 to 15624"):
        Cell.from_index(index)


def test_a_cell_with_five_edges_or_an_unknown_operation_is_refused():
    with pytest.raises(WrongInputError, match="6 edges"):
        Cell(("none",) * 5)
    with pytest.raises(WrongInputError, match="max_pool"):
        Cell(("none",) * 5 + ("max_pool",))


def test_an_edge_that_nothing_reads_is_dead():
    cell = Cell(("nor_conv_3x3", "skip_connect", "none", "none", "none", "skip_connect"))
    assert cell.live_edges() == (False, True, False, False, False, True)


def test_an_edge_that_nothing_feeds_is_dead():
    cell = Cell(("none", "none", "nor_conv_3x3", "skip_connect", "nor_conv_1x1", "avg_pool_3x3"))
    assert cell.live_edges() == (False, False, False, True, False, False)


def test_none_is_never_live():
    cell = Cell(("skip_connect",) * 5 + ("none",))
    assert cell.live_edges() == (True, False, False, True, True, False)


def test_a_chain_through_all_nodes_is_live():
    cell = Cell(("skip_connect", "none", "skip_connect", "none", "none", "skip_connect"))
    assert cell.live_edges() == (True, False, True, False, False, True)


def _lies_on_a_path(cell, edge):
    """Decide by listing every path, unlike the two sweeps of the code under test."""
    paths = [(0, 3), (0, 1, 3), (0, 2, 3), (0, 1, 2, 3)]
    wired = {e for e, op in zip(EDGES, cell.edges, strict=True) if op != "none"}
    steps = [set(pairwise(path)) for path in paths]
    return any(edge in path and path <= wired for path in steps)


@settings(deadline=None)
@given(cells)
def test_an_edge_is_live_exactly_when_a_path_uses_it(cell):
    assert cell.live_edges() == tuple(_lies_on_a_path(cell, edge) for edge in EDGES)


@settings(deadline=None)
@given(cells)
def test_removing_dead_edges_leaves_only_live_ones(cell):
    bare = cell.without_dead_edges()
    assert bare.live_edges() == cell.live_edges()
    assert bare.without_dead_edges() == bare
    assert [op != "none" for op in bare.edges] == list(cell.live_edges())


def test_341_cells_are_not_connected():
    assert sum(not cell.is_connected for cell in all_cells()) == 341


def test_the_space_has_6466_classes():
    assert len(isomorphism_classes()) == 6466


def test_every_cell_belongs_to_one_class():
    members = sorted(index for members in isomorphism_classes() for index in members)
    assert members == list(range(15_625))


def test_the_classes_are_the_benchmarks_own(benchmark_rows):
    published = defaultdict(list)
    for row in benchmark_rows:
        published[int(row["iso_rep"])].append(int(row["idx"]))
    assert {members[0]: list(members) for members in isomorphism_classes()} == published


def test_a_skip_connection_is_transparent():
    direct = Cell.parse("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
    before = Cell.parse("|skip_connect~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|")
    after = Cell.parse("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|")
    assert canonical_form(direct) == canonical_form(before) == canonical_form(after)


def test_the_benchmark_counts_mirror_images_apart_when_their_zero_inputs_differ():
    through_first = Cell.parse("|nor_conv_1x1~0|+|none~0|none~1|+|none~0|avg_pool_3x3~1|none~2|")
    through_second = Cell.parse("|none~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|avg_pool_3x3~2|")
    assert canonical_form(through_first) == "#+#+((0)@nor_conv_1x1)@avg_pool_3x3"
    assert canonical_form(through_second) == "#+#+(#+(0)@nor_conv_1x1)@avg_pool_3x3"


def test_cells_of_one_class_need_not_cost_the_same():
    def convolutions(index):
        operations = all_cells()[index].without_dead_edges().edges
        return operations.count("nor_conv_1x1"), operations.count("nor_conv_3x3")

    different = [
        members
        for members in isomorphism_classes()
        if len({convolutions(index) for index in members}) > 1
    ]
    assert different, "then costs could be shared within a class, and the docstring is wrong"
