"""Rewrites of the graph, each from graph to graph; `optimise` runs them in order."""

from automcu.compiler.graph import Graph
from automcu.compiler.passes.dead_operators import remove_dead_operators
from automcu.compiler.passes.drop_clamps import drop_clamps
from automcu.compiler.passes.drop_reshapes import drop_reshapes
from automcu.compiler.passes.fuse_clamp import fuse_clamps
from automcu.compiler.passes.fuse_lookup import fuse_lookups
from automcu.compiler.passes.fuse_pad import fuse_pads
from automcu.compiler.passes.fuse_sum import fuse_sums

__all__ = [
    "drop_clamps",
    "drop_reshapes",
    "fuse_clamps",
    "fuse_lookups",
    "fuse_pads",
    "fuse_sums",
    "optimise",
    "remove_dead_operators",
]

_IN_ORDER = (
    remove_dead_operators,
    drop_reshapes,
    fuse_clamps,
    drop_clamps,
    fuse_lookups,
    fuse_pads,
    fuse_sums,
)


def optimise(graph: Graph) -> Graph:
    """All passes, in the order in which each finds most to do."""
    for rewrite in _IN_ORDER:
        graph = rewrite(graph)
    return graph
