"""The space of architectures: NAS-Bench-201 cells in a skeleton that is scaled to the board."""

from automcu.space.architecture import Architecture, Skeleton
from automcu.space.cell import EDGES, OPERATIONS, Cell, Operation, all_cells
from automcu.space.isomorphism import canonical_form, isomorphism_classes

__all__ = [
    "EDGES",
    "OPERATIONS",
    "Architecture",
    "Cell",
    "Operation",
    "Skeleton",
    "all_cells",
    "canonical_form",
    "isomorphism_classes",
]
