import numpy as np
import pytest
import torch
from scipy.stats import rankdata, spearmanr
from torch import nn

from automcu.errors import WrongInputError
from automcu.networks.cells.accuracies import accuracy_prior
from automcu.networks.cells.cell import Cell, all_cells
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.networks.cells.torch import build_network
from benchmarks.zero_cost_proxies import ZeroCostScore, mean_ranks, zero_cost_scores

TINY = Skeleton(stem_channels=2, cells_per_stage=1, resolution=4, input_channels=1, classes=3)
RESNET = Architecture(cell=str(Cell.from_index(11472)), skeleton=TINY)
BATCH = np.random.default_rng(0).random((6, 4, 4, 1), dtype=np.float32)


@pytest.fixture(autouse=True)
def one_thread():
    """Keep to one thread: for networks this small more of them only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def seeded_network(architecture, seed):
    torch.manual_seed(seed)
    return build_network(architecture)


def test_naswot_is_the_log_determinant_of_agreeing_relus():
    network = seeded_network(RESNET, seed=3).train()
    codes = []
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda m, i, output: codes.append(output.flatten(1) > 0))
    network(torch.from_numpy(BATCH.transpose(0, 3, 1, 2)))
    bits = torch.cat(codes, dim=1).numpy()
    kernel = [[np.count_nonzero(first == second) for second in bits] for first in bits]
    _, expected = np.linalg.slogdet(np.array(kernel, dtype=float))
    score = zero_cost_scores([RESNET], BATCH, seed=3)[0].naswot
    assert score == pytest.approx(expected, rel=1e-6)


def test_synflow_is_what_each_weight_contributes_to_the_linear_networks_output():
    network = seeded_network(RESNET, seed=3).double().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # make it the identity
            module.eps = 0.0
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
        ones = torch.ones(1, 1, 4, 4, dtype=torch.float64)
        total = network(ones).sum()
        flow = 0.0
        # The output is linear in every single weight, so a weight contributes what it takes away.
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                weights = module.weight.view(-1)
                for position in range(len(weights)):
                    kept = weights[position].item()
                    weights[position] = 0
                    flow += (total - network(ones).sum()).item()
                    weights[position] = kept
    score = zero_cost_scores([RESNET], BATCH, seed=3)[0].synflow
    assert score == pytest.approx(np.log(flow), rel=1e-6)


def test_equal_seeds_give_equal_scores_whatever_stands_beside_them():
    other = Architecture(cell=str(Cell.from_index(6111)), skeleton=TINY)
    alone = zero_cost_scores([RESNET], BATCH, seed=1)
    assert zero_cost_scores([other, RESNET], BATCH, seed=1)[1:] == alone
    assert zero_cost_scores([RESNET], BATCH, seed=2) != alone


def test_the_global_generator_is_left_as_it_was():
    before = torch.get_rng_state()
    zero_cost_scores([RESNET], BATCH, seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_scores_rank_cells_much_as_training_them_does():
    generator = np.random.default_rng(0)
    skeleton = Skeleton(stem_channels=4, cells_per_stage=1, resolution=8)
    connected = [cell for cell in all_cells() if cell.is_connected]
    sample = [connected[i] for i in generator.choice(len(connected), 80, replace=False)]
    batch = generator.random((32, 8, 8, 3), dtype=np.float32)
    designs = [Architecture(cell=str(cell), skeleton=skeleton) for cell in sample]
    scores = zero_cost_scores(designs, batch, seed=0)
    trained = [accuracy_prior().accuracy(cell) for cell in sample]
    assert spearmanr([score.naswot for score in scores], trained).statistic > 0.5
    assert spearmanr([score.synflow for score in scores], trained).statistic > 0.6
    assert spearmanr([score.expressivity for score in scores], trained).statistic > 0.3
    assert spearmanr(mean_ranks(scores), trained).statistic > 0.75


def test_mean_ranks_lie_between_0_and_1_and_share_ties():
    rows = [(1, 9, 3), (2, 9, 1), (-np.inf, 3, 2), (2, 11, 1)]
    scores = [ZeroCostScore(*row) for row in rows]
    product = rankdata([1, 2, -np.inf, 2]) * rankdata([9, 9, 3, 11]) * rankdata([3, 1, 2, 1])
    np.testing.assert_allclose(mean_ranks(scores), np.cbrt(product) / 4)
    assert mean_ranks(scores[:1]).tolist() == [1.0]


@pytest.mark.parametrize("shape", [(6, 1, 4, 4), (6, 8, 8, 1), (4, 4, 1), (6, 4, 4, 3)])
def test_a_batch_of_another_shape_is_refused(shape):
    with pytest.raises(WrongInputError, match=r"\(4, 4, 1\)"):
        zero_cost_scores([RESNET], np.zeros(shape, dtype=np.float32), seed=0)


def test_a_single_input_is_refused():
    with pytest.raises(WrongInputError, match="at least two"):
        zero_cost_scores([RESNET], BATCH[:1], seed=0)


def test_a_batch_of_equal_inputs_rates_lowest():
    alike = np.repeat(BATCH[:1], 6, axis=0)
    assert zero_cost_scores([RESNET], alike, seed=0)[0].naswot == -np.inf


def test_expressivity_is_the_entropy_of_each_cells_principal_components():
    network = seeded_network(RESNET, seed=3).train()
    outputs = []
    blocks = [network.stem, *(cell for stage in network.stages for cell in stage)]
    for module in (*blocks, *network.reductions):
        module.register_forward_hook(lambda m, i, output: outputs.append(output.detach().numpy()))
    network(torch.from_numpy(BATCH.transpose(0, 3, 1, 2)))
    assert len(outputs) == 6
    expected = 0.0
    for output in outputs:
        columns = np.moveaxis(output, 1, -1).reshape(-1, output.shape[1]).astype(float)
        lengths = np.linalg.svd(columns - columns.mean(axis=0), compute_uv=False) ** 2
        shares = lengths[lengths > 0] / lengths.sum()
        expected -= (shares * np.log(shares)).sum()
    score = zero_cost_scores([RESNET], BATCH, seed=3)[0].expressivity
    assert score == pytest.approx(expected, rel=1e-6)
