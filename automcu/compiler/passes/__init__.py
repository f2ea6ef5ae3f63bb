"""Rewrites of the graph, each from graph to graph; `optimise` runs them in order."""

from automcu.compiler.graph import Graph
from automcu.compiler.passes.dead_operators import remove_dead_operators
from automcu.compiler.passes.drop_clamps import drop_clamps
from automcu.compiler.passes.fuse_clamp import fuse_clamps
from automcu.compiler.passes.fuse_sum import fuse_sums

__all__ = ["drop_clamps", "fuse_clamps", "fuse_sums", "optimise", "remove_dead_operators"]


def optimise(graph: Graph) -> Graph:
    """All passes, in the order in which each finds most to do."""
    return fuse_sums(drop_clamps(fuse_clamps(remove_dead_operators(graph))))
