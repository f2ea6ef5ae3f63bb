"""Exponential moving average of a network's weights and normalisation statistics."""

import copy

import torch
from torch import nn

WARMUP_STEPS = 10
"""Early averages are short, (1 + t) / (10 + t), or they would remember the random start."""


class AveragedNetwork:
    """A copy of a network that follows its weights at a distance.

    torch's own AveragedModel walks through all modules at each step, a fifth of a training step of
    the networks that fit microcontrollers; this one lists the tensors once.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.steps = 0
        self._decay = decay
        pairs = list(
            zip(self.network.state_dict().values(), network.state_dict().values(), strict=True)
        )
        self._averages = [mean for mean, _ in pairs if mean.is_floating_point()]
        self._values = [value for mean, value in pairs if mean.is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Move the averages towards the network's present weights."""
        keep = min(self._decay, (1 + self.steps) / (WARMUP_STEPS + self.steps))
        torch._foreach_lerp_(self._averages, self._values, 1 - keep)
        for counter, value in self._counters:
            counter.copy_(value)
        self.steps += 1
