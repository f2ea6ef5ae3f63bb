"""Which cells the benchmark counts as the same: 6,466 classes among 15,625 cells."""

from collections import defaultdict
from functools import lru_cache

from automcu.networks.cells.cell import EDGES, INPUT_NODE, OUTPUT_NODE, Cell, all_cells

_ZERO = "#"


def canonical_form(cell: Cell) -> str:
    """Return the benchmark's name for the cell's isomorphism class.

    Each node is written as the sorted sum of its inputs: `none`, and anything applied to a zero
    node, is zero; `skip_connect` is transparent (AutoDL-Projects, genotypes.py,
    `Structure.to_unique_str(consider_zero=True)`).

    Made to say which cells the benchmark counts as one, and no more. Zero terms stay in a sum, so
    some cells of equal function have different names. Equal operations on equal inputs share a
    name although each has weights of its own, so cells of one class may differ in live
    convolutions, hence in cost: in 644 classes they do. Share costs through
    `Cell.without_dead_edges` instead.
    """
    written = {INPUT_NODE: "0"}
    for node in range(1, OUTPUT_NODE + 1):
        terms = [
            _term(written[source], operation)
            for (source, target), operation in zip(EDGES, cell.edges, strict=True)
            if target == node
        ]
        written[node] = "+".join(sorted(terms))
    return written[OUTPUT_NODE]


@lru_cache(maxsize=1)
def isomorphism_classes() -> tuple[tuple[int, ...], ...]:
    """Return the classes as ascending tuples of cell indices, ordered by their smallest index."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, cell in enumerate(all_cells()):
        members[canonical_form(cell)].append(index)
    return tuple(tuple(indices) for indices in members.values())


def _term(source: str, operation: str) -> str:
    if operation == "none" or source == _ZERO:
        return _ZERO
    if operation == "skip_connect":
        return source
    return f"({source})@{operation}"
