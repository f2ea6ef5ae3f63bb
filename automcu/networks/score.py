"""How good a network promises to be before it is trained: its cell's prior and its capacity."""

import math

from automcu.networks.family import Needs

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
