"""Where a network's weights are."""

import torch
from torch import nn


def device_of(network: nn.Module) -> torch.device:
    """Return the device of the network's first parameter, the processor if it has none."""
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
