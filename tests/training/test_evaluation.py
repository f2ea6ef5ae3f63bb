import numpy as np
import torch
from torch import Tensor, nn

from automcu.datasets.record import Split
from automcu.training.loop import accuracy, forward_flops, suitable_threads


class BrightestPixel(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        return images.flatten(1)


def test_accuracy_is_the_fraction_of_right_answers() -> None:
    inputs = np.zeros((700, 2, 2, 1), dtype=np.float32)
    brightest = np.arange(700) % 4
    inputs.reshape(700, 4)[np.arange(700), brightest] = 1
    labels = np.where(np.arange(700) < 175, (brightest + 1) % 4, brightest)
    network = BrightestPixel().train()
    assert accuracy(network, Split(inputs, labels.astype(np.int64))) == 0.75
    assert network.training


def test_images_reach_the_network_with_channels_first() -> None:
    seen: list[Tensor] = []

    class Recorder(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images.clone())
            return images.mean(dim=(2, 3))

    inputs = np.random.default_rng(0).random((3, 4, 5, 2)).astype(np.float32)
    accuracy(Recorder(), Split(inputs, np.zeros(3, dtype=np.int64)))
    assert torch.equal(seen[-1], torch.from_numpy(inputs.transpose(0, 3, 1, 2).copy()))


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
