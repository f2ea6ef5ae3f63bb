import pytest
import torch
from torch import nn

from automcu.training.state import WARMUP_STEPS, AveragedNetwork


def test_averages_follow_weights_and_statistics_at_a_distance() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    nn.init.zeros_(network[0].weight)
    averaged = AveragedNetwork(network, decay=0.5)
    averaged.steps = 1000
    nn.init.ones_(network[0].weight)
    network[1].running_var.fill_(3.0)
    network[1].num_batches_tracked.fill_(7)
    averaged.update()
    state = averaged.network.state_dict()
    assert torch.allclose(state["0.weight"], torch.tensor(0.5))
    assert torch.allclose(state["1.running_var"], torch.tensor(2.0))
    assert state["1.num_batches_tracked"] == 7
    averaged.update()
    assert torch.allclose(state["0.weight"], torch.tensor(0.75))


def test_early_averages_forget_the_random_start() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    averaged = AveragedNetwork(network, decay=0.999)
    nn.init.ones_(network.weight)
    for _ in range(20):
        averaged.update()
    expected = 1.0
    for step in range(20):
        expected *= (1 + step) / (WARMUP_STEPS + step)
    assert averaged.network.weight.item() == pytest.approx(1 - expected)
    assert averaged.network.weight.item() > 0.99


def test_the_network_itself_is_not_touched_and_needs_no_gradients_in_the_copy() -> None:
    network = nn.Linear(1, 1)
    before = network.weight.clone()
    averaged = AveragedNetwork(network, decay=0.9)
    averaged.update()
    assert torch.equal(network.weight, before)
    assert network.weight.requires_grad
    assert not averaged.network.weight.requires_grad
