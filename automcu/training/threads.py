"""How many processor threads a training step is worth."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from automcu.training.device import device_of

FLOPS_WORTH_THREADS = 2e9
"""Forward operations per step. Below, more threads gain little on idle cores, and make training
tens of times slower while another program holds a core: all threads meet at every layer."""


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
