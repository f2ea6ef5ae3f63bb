import numpy as np
from scipy.stats import spearmanr

from automcu.networks.cells.architecture import Architecture, Skeleton
from automcu.networks.cells.cell import Cell, all_cells
from automcu.networks.cells.synflow import expected_synflow
from benchmarks.zero_cost_proxies import zero_cost_scores

SKELETON = Skeleton(stem_channels=4, cells_per_stage=1, resolution=8)


def test_it_ranks_cells_as_networks_with_drawn_weights_do() -> None:
    generator = np.random.default_rng(5)
    connected = [index for index, cell in enumerate(all_cells()) if cell.is_connected]
    chosen = generator.choice(connected, 60, replace=False)
    batch = generator.random((4, 8, 8, 3), dtype=np.float32)
    designs = [Architecture(cell=str(Cell.from_index(int(i))), skeleton=SKELETON) for i in chosen]
    drawn = [score.synflow for score in zero_cost_scores(designs, batch, 0)]
    agreement = spearmanr(drawn, expected_synflow(SKELETON)[chosen]).statistic
    assert agreement > 0.97


def test_only_disconnected_cells_have_no_flow() -> None:
    flow = expected_synflow(SKELETON)
    assert flow.shape == (15625,)
    connected = np.array([cell.is_connected for cell in all_cells()])
    assert np.array_equal(np.isfinite(flow), connected)


def test_an_edge_that_nothing_reads_changes_nothing() -> None:
    flow = expected_synflow(Skeleton())
    plain = Cell(("none", "none", "none", "nor_conv_3x3", "none", "none"))
    unread = Cell(("nor_conv_3x3", "none", "none", "nor_conv_3x3", "none", "none"))
    assert flow[plain.index] == flow[unread.index]


def test_ten_cells_of_the_benchmarks_own_skeleton_that_rank_first_are_the_known_ones() -> None:
    flow = expected_synflow(Skeleton())
    first = np.argsort(-flow, kind="stable")[:10]
    # Index 1462 has a 3x3 convolution on every edge; 9930 is the best known cell on CIFAR-100.
    assert first[0] == 1462
    assert 9930 in first
