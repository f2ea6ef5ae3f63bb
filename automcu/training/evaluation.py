"""How good a network is on a split."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from automcu.datasets.record import Split
from automcu.training.device import device_of
from automcu.training.threads import suitable_threads

BATCH = 512


def accuracy(network: nn.Module, split: Split) -> float:
    """Return the fraction of `split` that the network classifies correctly."""
    height, width, channels = split.inputs.shape[1:]
    with suitable_threads(network, (height, width, channels), BATCH):
        logits = predict_logits(network, torch.from_numpy(split.inputs))
    return _fraction_correct(logits, torch.from_numpy(split.labels))


def loss_and_accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy; `images` is [n, height, width, channels]."""
    logits = predict_logits(network, images)
    labels = labels.to(logits.device)
    return float(cross_entropy(logits, labels)), _fraction_correct(logits, labels)


def predict_logits(network: nn.Module, images: Tensor) -> Tensor:
    """Return logits [n, classes] of images [n, height, width, channels], in evaluation mode."""
    device = device_of(network)
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            return torch.cat(
                [
                    network(batch.to(device).permute(0, 3, 1, 2))
                    for batch in torch.split(images, BATCH)
                ]
            )
    finally:
        network.train(was_training)


def _fraction_correct(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(dim=1) == labels.to(logits.device)).double().mean())
