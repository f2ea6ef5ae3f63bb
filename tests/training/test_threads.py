import torch
from torch import nn

from automcu.training.evaluation import forward_flops, suitable_threads


def test_flops_are_two_for_each_multiplication_of_a_convolution() -> None:
    network = nn.Conv2d(3, 8, 3, padding=1, bias=False).train()
    assert forward_flops(network, (10, 12, 3)) == 2 * 8 * 3 * 9 * 10 * 12
    assert network.training


def test_small_networks_get_one_thread_and_large_ones_what_torch_has() -> None:
    before = torch.get_num_threads()
    network = nn.Conv2d(3, 8, 3)
    torch.set_num_threads(2)
    try:
        with suitable_threads(network, (8, 8, 3), batch_size=16):
            assert torch.get_num_threads() == 1
        with suitable_threads(network, (96, 96, 3), batch_size=1024):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
