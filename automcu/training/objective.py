"""What a training minimises."""

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import cross_entropy

Objective = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(images [n, c, h, w], the network's logits [n, classes], labels [n]) to a scalar loss."""


def label_objective(label_smoothing: float) -> Objective:
    """Return cross-entropy with the labels, smoothed."""

    def objective(images: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, label_smoothing=label_smoothing)

    return objective
