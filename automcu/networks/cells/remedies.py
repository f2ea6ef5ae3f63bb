"""What would fit instead of a cell that does not."""

from collections.abc import Iterable, Iterator

from automcu.brief import NO_LIMITS, Limits
from automcu.compiler import compile_graph
from automcu.cost.estimation import estimate_program
from automcu.cost.records import Remedy
from automcu.cost.verdict import bits_remedies, judge_by, remedy
from automcu.mcu.profile import Device
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.networks.estimate import estimate, other_boards

# Widths, resolutions and depths as in the planner's grid, the largest first.
_WIDTHS = (48, 32, 24, 16, 12, 8, 6, 4)
_LOWEST_RESOLUTION = 8
_DEPTHS = (3, 2, 1)


def architecture_remedies(
    architecture: Architecture,
    device: Device,
    boards: Iterable[Device],
    limits: Limits = NO_LIMITS,
) -> tuple[Remedy, ...]:
    """Return what would make the cell fit: at most one of each kind of change, and two boards.

    Fewer bits are those of the network once it is trained: `automcu compile --weights`.
    """
    judge = judge_by(limits)
    found = []
    for steps in _smaller_skeletons(architecture.skeleton):
        for change, skeleton in steps:
            variant = Architecture(cell=architecture.cell, skeleton=skeleton)
            verdict = judge(estimate(variant, device), device)
            if verdict.fits:
                found.append(remedy(change, verdict))
                break
    graph = architecture_graph(architecture)
    bits = bits_remedies(
        graph,
        lambda reduced: estimate_program(compile_graph(reduced, device), device),
        device,
        limits,
    )
    return (*found, *bits, *other_boards(architecture, device, boards, limits))


def _smaller_skeletons(skeleton: Skeleton) -> Iterator[Iterator[tuple[str, Skeleton]]]:
    """Three ways down, each from the smallest change on."""
    yield (
        (f"stem of {width} channels", skeleton.model_copy(update={"stem_channels": width}))
        for width in _WIDTHS
        if width < skeleton.stem_channels
    )
    yield (
        (f"resolution {side}", skeleton.model_copy(update={"resolution": side}))
        for side in _halvings(skeleton.resolution)
    )
    yield (
        (
            f"{depth} cell{'s' if depth > 1 else ''} a stage",
            skeleton.model_copy(update={"cells_per_stage": depth}),
        )
        for depth in _DEPTHS
        if depth < skeleton.cells_per_stage
    )


def _halvings(resolution: int) -> Iterator[int]:
    while resolution // 2 >= _LOWEST_RESOLUTION:
        resolution //= 2
        yield resolution
