"""A few proposals out of thousands: good ones, and not the same one three times."""

from collections.abc import Sequence
from dataclasses import dataclass

from automcu.networks.cells.architecture import Skeleton
from automcu.networks.cells.cell import Cell
from automcu.networks.cells.isomorphism import canonical_form
from automcu.networks.cells.records import FeasibleCell

# A twin of a network that is already chosen must promise an error lower by a quarter to be
# chosen too: -log(0.75) is about 0.3.
_PRICE_OF_LIKENESS = 0.3
# Two equal cells in different skeletons still teach something about width and depth.
_LIKENESS_ACROSS_SKELETONS = 0.5


@dataclass(frozen=True)
class Candidate:
    """A feasible network and its score."""

    skeleton: Skeleton
    cell: FeasibleCell
    score: float


def choose_diverse(candidates: Sequence[Candidate], count: int) -> tuple[Candidate, ...]:
    """Choose by score less likeness to those chosen before (maximal marginal relevance).

    Carbonell and Goldstein, "The use of MMR", SIGIR 1998. Ties go to the earlier candidate.
    """
    left = list(candidates)
    operations = {
        candidate.cell.index: Cell.parse(candidate.cell.architecture).without_dead_edges()
        for candidate in left
    }
    names = {index: canonical_form(cell) for index, cell in operations.items()}
    chosen: list[Candidate] = []
    likeness = [0.0] * len(left)
    while left and len(chosen) < count:
        best = max(
            range(len(left)), key=lambda at: left[at].score - _PRICE_OF_LIKENESS * likeness[at]
        )
        picked = left[best]
        chosen.append(picked)
        name = names[picked.cell.index]
        keep = [
            at
            for at, other in enumerate(left)
            if other.skeleton != picked.skeleton or names[other.cell.index] != name
        ]
        likeness = [max(likeness[at], _likeness(left[at], picked, operations)) for at in keep]
        left = [left[at] for at in keep]
    return tuple(chosen)


def _likeness(one: Candidate, other: Candidate, operations: dict[int, Cell]) -> float:
    """Return the share of edges with the same operation, less where the skeletons differ."""
    first, second = operations[one.cell.index].edges, operations[other.cell.index].edges
    share = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
    return share if one.skeleton == other.skeleton else share * _LIKENESS_ACROSS_SKELETONS
