"""Rate untrained networks from one minibatch: what the planner's prior is compared with.

`naswot` asks how differently the inputs of a minibatch switch the network's ReLUs (Mellor et al.,
"Neural Architecture Search without Training", ICML 2021, section 3). `synflow` sums how much
signal every weight carries (Tanaka et al., "Pruning neural networks without any data by
iteratively conserving synaptic flow", NeurIPS 2020, algorithm 1; as a score for whole networks:
Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021). `expressivity` asks over
how many directions the features after each cell spread (Lee and Ham, "AZ-NAS: Assembling Zero-Cost
Proxies for Network Architecture Search", CVPR 2024, section 3.2). All only rank: their values mean
nothing across skeletons, batches or seeds.

The third was chosen on NAS-Bench-201's table for what it adds to the other two, not for what it is
alone: `python -m benchmarks.zero_cost` measures both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from automcu.errors import WrongInputError
from automcu.networks.cells.skeleton import Architecture
from automcu.networks.cells.torch import CellModule, ReductionBlock, build_network


@dataclass(frozen=True, slots=True)
class ZeroCostScore:
    """Ratings of one architecture, higher is better; −inf where the network is degenerate."""

    naswot: float
    synflow: float
    expressivity: float


def zero_cost_scores(
    architectures: Sequence[Architecture], input_batch: NDArray[np.float32], seed: int
) -> list[ZeroCostScore]:
    """Score every architecture, each initialised from the same seed.

    `input_batch` is float32 [n, height, width, channels] in [0, 1] as in `Split.inputs`; 16 to
    128 inputs are usual. Torch's global generator is left as it was.

    Raises:
        WrongInputError: the batch has fewer than two inputs or another shape than a skeleton
            expects, or a cell is disconnected.
    """
    with torch.random.fork_rng(devices=()):
        return [_score(architecture, input_batch, seed) for architecture in architectures]


def mean_ranks(scores: Sequence[ZeroCostScore]) -> NDArray[np.float64]:
    """Combine the ratings into one, float64 [n] in (0, 1]: geometric mean of the relative ranks.

    They have no common scale, so only their ranks, 1/n to 1, can be combined; ties share their mean
    rank. A geometric mean rates low what is bad in any respect, as AZ-NAS does.
    """
    columns = (
        [score.naswot for score in scores],
        [score.synflow for score in scores],
        [score.expressivity for score in scores],
    )
    logarithms = np.array([np.log(_relative_ranks(column)) for column in columns])
    return np.asarray(np.exp(logarithms.mean(axis=0)), dtype=np.float64)


def _score(
    architecture: Architecture, input_batch: NDArray[np.float32], seed: int
) -> ZeroCostScore:
    _check_batch(architecture, input_batch)
    torch.manual_seed(seed)
    network = build_network(architecture)
    images = torch.from_numpy(np.ascontiguousarray(input_batch.transpose(0, 3, 1, 2)))
    naswot, expressivity = _forward_ratings(network, images)
    return ZeroCostScore(
        naswot=naswot, synflow=_synflow(network, images), expressivity=expressivity
    )


def _forward_ratings(network: nn.Module, images: Tensor) -> tuple[float, float]:
    """Return naswot and expressivity, from one forward pass.

    naswot is log |det K|, K[i, j] counting the ReLUs that inputs i and j switch alike.
    """
    count = len(images)
    kernel = torch.zeros(count, count, dtype=torch.float64)
    spreads: list[float] = []

    def add_agreement(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        signs = torch.where(output > 0, 1.0, -1.0).flatten(1)
        # Of d units with signs ±1, (d + s·t) / 2 agree.
        kernel.add_((signs.shape[1] + signs @ signs.T).double() / 2)

    def add_spread(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        spreads.append(_spread(output))

    hooks = [
        module.register_forward_hook(add_agreement if isinstance(module, nn.ReLU) else add_spread)
        for name, module in network.named_modules()
        if isinstance(module, nn.ReLU | CellModule | ReductionBlock) or name == "stem"
    ]
    network.train()  # an untrained network has no running statistics worth using
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return float(torch.linalg.slogdet(kernel).logabsdet), sum(spreads)


def _spread(features: Tensor) -> float:
    """Return the entropy of the features' principal components; −inf where nothing varies.

    Features are [n, channels, height, width]: each position of each input is one observation.
    """
    columns = features.double().permute(0, 2, 3, 1).flatten(0, 2)
    centred = columns - columns.mean(0)
    variances = torch.linalg.eigvalsh(centred.T @ centred).clamp(min=0)
    total = variances.sum()
    if not total > 0:
        return -math.inf
    return float(torch.special.entr(variances / total).sum())


def _synflow(network: nn.Module, images: Tensor) -> float:
    """Return log Σ |w · ∂R/∂w|, R the summed output of the linearised network for an input of ones.

    Every weight is replaced by its magnitude and batch normalisation by the identity, which
    changes `network`. The logarithm keeps deep networks comparable and does not change the order.
    """
    linear = _without_normalisation(network).double().eval()
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.abs_()
    linear.zero_grad()
    linear(torch.ones(1, *images.shape[1:], dtype=torch.float64)).sum().backward()
    weights = [
        module.weight for module in linear.modules() if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    flow = sum(
        float((weight.detach() * weight.grad).abs().sum())
        for weight in weights
        if weight.grad is not None
    )
    return math.log(flow) if flow > 0 else -math.inf


def _without_normalisation(network: nn.Module) -> nn.Module:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
    return network


def _relative_ranks(values: Sequence[float]) -> NDArray[np.float64]:
    column = np.asarray(values, dtype=np.float64)
    below = (column[None, :] < column[:, None]).sum(axis=1)
    alike = (column[None, :] == column[:, None]).sum(axis=1) - 1
    return np.asarray((below + alike / 2 + 1) / len(column), dtype=np.float64)


def _check_batch(architecture: Architecture, input_batch: NDArray[np.float32]) -> None:
    skeleton = architecture.skeleton
    expected = (skeleton.resolution, skeleton.resolution, skeleton.input_channels)
    if input_batch.ndim != 4 or input_batch.shape[1:] != expected:
        raise WrongInputError(
            f"The batch has the shape {input_batch.shape}, but the network takes {expected} per "
            "input. Give inputs [n, height, width, channels] of the skeleton's resolution."
        )
    if len(input_batch) < 2:
        raise WrongInputError(
            "One input has nothing to be told apart from. Give a batch of at least two inputs."
        )
