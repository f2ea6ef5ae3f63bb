"""What a network of any family costs on a device, whether it fits, and where else it would."""

from collections.abc import Iterable

from automcu.brief import Limits
from automcu.compiler import compile_graph
from automcu.cost.estimation import estimate_program
from automcu.cost.records import Estimate, Remedy, Verdict
from automcu.cost.remedies import board_remedies
from automcu.cost.verdict import check
from automcu.mcu.profile import Device
from automcu.networks.family import Network, family_of


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
