"""How good a network is on a split, and how many processor threads a step of it is worth."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from automcu.datasets.record import Split

BATCH = 512

FLOPS_WORTH_THREADS = 2e9
"""Forward operations per step. Below, more threads gain little on idle cores, and make training
tens of times slower while another program holds a core: all threads meet at every layer."""


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


def device_of(network: nn.Module) -> torch.device:
    """Return the device of the network's first parameter, the processor if it has none."""
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


@contextmanager
def suitable_threads(
    network: nn.Module, input_shape: tuple[int, int, int], batch_size: int
) -> Iterator[None]:
    """Use one thread inside the block where the network is small, torch's own number where not.

    The choice depends on sizes only, never on timing: sums, and so results, differ with the number
    of threads.
    """
    before = torch.get_num_threads()
    if forward_flops(network, input_shape) * batch_size < FLOPS_WORTH_THREADS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def forward_flops(network: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Return the floating-point operations of one image [height, width, channels]; 2 per MAC."""
    height, width, channels = input_shape
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, channels, height, width, device=device_of(network)))
    finally:
        network.train(was_training)
    return int(counter.get_total_flops())
