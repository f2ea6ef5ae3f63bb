"""How good a network is on a split."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from automcu.datasets import Split

BATCH = 512


def accuracy(network: nn.Module, split: Split) -> float:
    """Return the fraction of `split` that the network classifies correctly."""
    logits = predict_logits(network, torch.from_numpy(split.inputs))
    return _fraction_correct(logits, torch.from_numpy(split.labels))


def loss_and_accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy; `images` is [n, height, width, channels]."""
    logits = predict_logits(network, images)
    labels = labels.to(logits.device)
    return float(cross_entropy(logits, labels)), _fraction_correct(logits, labels)


def predict_logits(network: nn.Module, images: Tensor) -> Tensor:
    """Return logits [n, classes] of images [n, height, width, channels], in evaluation mode."""
    parameter = next(network.parameters(), None)
    device = images.device if parameter is None else parameter.device
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
