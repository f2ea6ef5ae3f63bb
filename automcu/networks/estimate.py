"""What a network of any family costs on a device, and how good it promises to be untrained."""

import math
from collections.abc import Iterable

from automcu.brief import Limits
from automcu.compiler import compile_graph
from automcu.cost.estimation import estimate_program
from automcu.cost.records import Estimate, Remedy, Verdict
from automcu.cost.verdict import board_remedies, check
from automcu.mcu.profile import Device
from automcu.networks.family import Needs, Network, family_of

# Where the brief sets no latency limit, capacity counts up to this: an answer in a tenth of a
# second feels immediate (Nielsen, Usability Engineering, 1993, section 5.5).
ASSUMED_LATENCY_MS = 100.0

# Doubling the work of a network lowers its error to about 0.85 of what it was.
_LOG_ERROR_PER_DOUBLING = -math.log(0.85)

# An unknown cell counts as the median of the space on CIFAR-10.
_UNKNOWN_PRIOR_PERCENT = 88.0


def score(needs: Needs, latency_limit_ms: float | None, prior: float | None = None) -> float:
    """Return minus the logarithm of the error that the network promises; higher is better.

    The error of a known accuracy, `prior` in percent, is scaled by the network's work, as a share
    of what the limit allows. Without a prior only capacity ranks, a proxy that needs no training
    and that few others beat (Ning et al., "Evaluating Efficient Performance Estimators of Neural
    Architectures", NeurIPS 2021).
    """
    limit = latency_limit_ms or ASSUMED_LATENCY_MS
    percent = _UNKNOWN_PRIOR_PERCENT if prior is None else prior
    work = min(needs.latency_ms / limit, 1.0)
    return -_log_error(percent) + _LOG_ERROR_PER_DOUBLING * math.log2(max(work, 1e-6))


def gain_over_median(percent: float) -> float:
    """Return how much more a cell of this known accuracy promises than an unknown one."""
    return _log_error(_UNKNOWN_PRIOR_PERCENT) - _log_error(percent)


def _log_error(percent: float) -> float:
    return math.log(max(1.0 - percent / 100.0, 1e-3))


def estimate(network: Network, device: Device) -> Estimate:
    """Cost of a network, from the compiler's own passes on its graph without weights.

    Vision transformers are costed with ternary weights, cells as their skeleton says.

    Raises:
        WrongInputError: the network cannot be built, or the device has no figures yet.
        UnsupportedModelError: it is too large for integer arithmetic.
    """
    return estimate_program(compile_graph(family_of(network).graph(network), device), device)


def judge(network: Network, device: Device, limits: Limits) -> Verdict:
    """Say whether a network keeps to a device and to limits."""
    return check(estimate(network, device), device, limits)


def other_boards(
    network: Network, device: Device, boards: Iterable[Device], limits: Limits
) -> tuple[Remedy, ...]:
    """Return the smallest other boards with figures on which the network keeps the limits."""
    return board_remedies(lambda board: estimate(network, board), device, boards, limits)
