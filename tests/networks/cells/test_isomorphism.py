from collections import defaultdict

from automcu.networks.cells.cell import Cell, all_cells
from automcu.networks.cells.isomorphism import canonical_form, isomorphism_classes


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
