import numpy as np
import torch
from torch import Tensor, nn

from automcu.datasets.record import Split
from automcu.training.evaluation import accuracy


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
