"""Which networks the cost models are fitted to, and which they are judged by."""

import numpy as np

from automcu.calibration.microbenchmarks import chain, depthwise_chain, transformer_chain
from automcu.compiler.graph import Graph
from automcu.networks.cells.cell import all_cells
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.networks.transformers.graph import transformer_graph
from automcu.networks.transformers.space import TransformerShape

_HELD_OUT_ARCHITECTURES = 4
_HELD_OUT_TRANSFORMERS = (
    TransformerShape(resolution=28, patch=7, dim=48, depth=2, heads=3, mlp_ratio=2),
    TransformerShape(resolution=28, patch=4, dim=32, depth=1, heads=2, mlp_ratio=4),
)
HELD_OUT_TRANSFORMERS = len(_HELD_OUT_TRANSFORMERS)
"""How many transformers are among these."""

HELD_OUT = _HELD_OUT_ARCHITECTURES + HELD_OUT_TRANSFORMERS
"""How many networks are run but kept out of the fit, to judge it by."""

_SEED = 1
_CHAINS_TO_DEPTHWISE = 4
_CHAINS_TO_TRANSFORMER = 2
_SQUEEZED = 4  # one in so many networks
_SKELETONS = (
    Skeleton(stem_channels=4, cells_per_stage=1, resolution=8, input_channels=1),
    Skeleton(stem_channels=8, cells_per_stage=2, resolution=8, input_channels=1),
    Skeleton(stem_channels=8, cells_per_stage=1, resolution=16, input_channels=3),
    Skeleton(stem_channels=16, cells_per_stage=1, resolution=12, input_channels=3),
    Skeleton(stem_channels=12, cells_per_stage=1, resolution=10, input_channels=1),
)
_DEEP_SKELETONS = (
    Skeleton(stem_channels=4, cells_per_stage=5, resolution=16, input_channels=3),
    Skeleton(stem_channels=6, cells_per_stage=3, resolution=24, input_channels=1),
    Skeleton(stem_channels=16, cells_per_stage=3, resolution=12, input_channels=3),
)
_SMALL_SKELETONS = tuple(
    Skeleton(
        stem_channels=stem,
        cells_per_stage=1,
        resolution=resolution,
        input_channels=colours,
        classes=classes,
    )
    for stem, resolution, colours, classes in (
        (4, 8, 3, 2),
        (6, 16, 1, 10),
        (8, 12, 3, 100),
        (4, 16, 1, 100),
        (12, 8, 1, 10),
        (6, 24, 3, 2),
        (4, 32, 3, 10),
    )
)


def calibration_graphs(chains: int, networks: int) -> list[Graph]:
    """Chains of layers, then networks of the space; the last `HELD_OUT` are to judge the fit by.

    The last of those are transformers.
    """
    architectures = random_architectures(networks + _HELD_OUT_ARCHITECTURES, _SEED)
    return [
        *(chain(seed) for seed in range(chains)),
        *(depthwise_chain(seed) for seed in range(chains // _CHAINS_TO_DEPTHWISE)),
        *transformer_graphs(chains),
        *(architecture_graph(architecture) for architecture in architectures),
        *(transformer_graph(shape) for shape in _HELD_OUT_TRANSFORMERS),
    ]


def transformer_graphs(chains: int) -> list[Graph]:
    """Those of the chains that hold what transformers have, and ternary convolutions."""
    return [transformer_chain(seed) for seed in range(chains // _CHAINS_TO_TRANSFORMER)]


def deep_graphs(networks: int) -> list[Graph]:
    """Networks of the space with many layers of one shape, whose code they share."""
    return [
        architecture_graph(one)
        for one in random_architectures(networks, _SEED + 1, _DEEP_SKELETONS)
    ]


def small_graphs(networks: int) -> list[Graph]:
    """Networks of the space whose firmware is mostly code."""
    return [
        architecture_graph(one)
        for one in random_architectures(networks, _SEED + 2, _SMALL_SKELETONS)
    ]


def arena_limit_bytes(index: int) -> int | None:
    """Every few networks are squeezed, so that row tiling is fitted too."""
    return 1 if index % _SQUEEZED == _SQUEEZED - 1 else None


def random_architectures(
    count: int, seed: int, skeletons: tuple[Skeleton, ...] = _SKELETONS
) -> list[Architecture]:
    """Random connected architectures, the skeletons in turn; equal seeds give equal ones."""
    generator = np.random.default_rng(seed)
    cells = all_cells()
    found: list[Architecture] = []
    while len(found) < count:
        cell = cells[int(generator.integers(len(cells)))]
        if cell.is_connected:
            skeleton = skeletons[len(found) % len(skeletons)]
            found.append(Architecture(cell=str(cell), skeleton=skeleton))
    return found
