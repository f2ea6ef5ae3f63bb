"""Cells in skeletons as a family: the space is judged whole in the most promising skeletons."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from automcu.errors import DoesNotFitError, ToolError, WrongInputError
from automcu.networks.cells.cell import CELL_COUNT, Cell
from automcu.networks.cells.skeleton import Architecture, CellPlan, Skeleton
from automcu.networks.family import (
    Description,
    Family,
    FamilyPlan,
    Observation,
    Proposal,
    Task,
)

if TYPE_CHECKING:
    from automcu.brief import Limits
    from automcu.compiler.graph import Graph
    from automcu.cost.records import Remedy
    from automcu.mcu.profile import Device
    from automcu.networks.cells.accuracies import AccuracyDataset, AccuracyTable
    from automcu.training.records import Trained, Training

_SIZES = ("stem_channels", "cells_per_stage", "resolution", "input_channels", "classes")
_LARGEST_SIZE = 1_000_000
_SHORT_OPERATIONS = {
    "none": "–",
    "skip_connect": "skip",
    "nor_conv_1x1": "1×1",
    "nor_conv_3x3": "3×3",
    "avg_pool_3x3": "pool",
}


class CellFamily(Family[Architecture]):
    """See `Family`; proposals after the plan's first evolve from the best that were trained."""

    name = "cnn"
    plural = "cells"
    title = "cells in skeletons"
    network = Architecture
    parameters: Mapping[str, tuple[int, int]] = {
        "cell": (0, CELL_COUNT - 1),
        **dict.fromkeys(_SIZES, (1, _LARGEST_SIZE)),
    }
    has_agents = True
    headings = ("cell", "skeleton")

    def survey(self, task: Task) -> CellPlan:
        """Scout the skeletons, judge every cell in the best of them, and choose.

        The surveys stay in the task's folder.
        """
        from automcu.networks.cells.plan import SURVEYS, save_surveys, search
        from automcu.networks.cells.skeleton import Survey, skeleton_grid
        from automcu.networks.cells.survey import survey
        from automcu.networks.estimate import judge

        table = _known_accuracies(task)
        done = 0

        def survey_one(skeleton: Skeleton) -> Survey:
            nonlocal done
            found = survey(task.device, skeleton, task.limits, prior=table)
            done += 1
            task.progress(done / SURVEYS, f"{found.feasible:,} of {found.cells:,} cells fit")
            return found

        ternary = {"ternary": task.ternary}
        grid = skeleton_grid(task.input_shape, task.classes)
        try:
            plan, surveys = search(
                [skeleton.model_copy(update=ternary) for skeleton in grid],
                table,
                probe=lambda cell, skeleton: judge(
                    Architecture(cell=str(cell), skeleton=skeleton), task.device, task.limits
                ),
                survey=survey_one,
                latency_limit_ms=task.latency_limit_ms,
                budget=task.budget,
                seed=task.seed,
            )
        except DoesNotFitError as error:
            return CellPlan(
                prior=table.source, space=0, feasible=0, proposals=(), seconds=0.0, miss=str(error)
            )
        save_surveys(task.folder, surveys.values())
        return plan

    def propose(
        self, plan: FamilyPlan, task: Task, seen: Sequence[Observation], rank: int
    ) -> Proposal | None:
        """Return the first few of the plan, then what training has taught.

        Raises:
            WrongInputError: the survey of a skeleton is missing or damaged.
        """
        from automcu.networks.cells.plan import ranked_survey
        from automcu.networks.cells.search import next_proposal

        assert isinstance(plan, CellPlan), "it is this family's own"
        return next_proposal(
            plan.proposals,
            lambda skeleton: ranked_survey(task.folder, plan, skeleton, task.latency_limit_ms),
            seen,
            seed=task.seed,
            rank=rank,
        )

    def graph(self, network: Architecture) -> "Graph":
        """Build the graph of the cell's live edges in its skeleton."""
        from automcu.networks.cells.graph import architecture_graph

        return architecture_graph(network)

    def train(self, network: Architecture, training: "Training") -> "Trained":
        """Train it; a ternary one from a float teacher."""
        from automcu.networks.cells.torch import train_cell

        return train_cell(network, training)

    def describe(self, network: Architecture) -> Description:
        """Write the cell's operations, and the skeleton."""
        return Description(
            cell_name(network.cell), skeleton_name(network.skeleton), f"cell {network.index}"
        )

    def parse(
        self, text: str, sizes: Mapping[str, int], ternary: bool | None
    ) -> Architecture | None:
        """Read a cell in the benchmark's notation, or its number."""
        cell = str(Cell.from_index(int(text))) if text.strip().isdigit() else text
        if not cell.lstrip().startswith("|"):
            return None
        if ternary is None:
            raise WrongInputError(
                "A cell has no weights yet: it is costed with --weights 8 or ternary. "
                "Give other widths and --data with a model file."
            )
        return Architecture(cell=cell, skeleton=Skeleton(**sizes, ternary=ternary))

    def identity(self, network: Architecture) -> dict[str, object]:
        """Return the cell's number."""
        return {"cell": network.index}

    def objection(self, network: Architecture) -> str | None:
        """Say whether nothing connects the cell's input to its output."""
        if Cell.parse(network.cell).is_connected:
            return None
        return "its output does not depend on its input"

    def remedies(
        self,
        network: Architecture,
        device: "Device",
        boards: "Iterable[Device]",
        limits: "Limits",
    ) -> "tuple[Remedy, ...]":
        """Return smaller skeletons, fewer bits of weights, and other boards."""
        from automcu.networks.cells.survey import architecture_remedies

        return architecture_remedies(network, device, boards, limits)

    def study_parameters(self, network: Architecture) -> dict[str, int]:
        """Return the cell's number and the skeleton's sizes."""
        return {"cell": network.index, **network.skeleton.model_dump(include=set(_SIZES))}

    def from_study(self, parameters: Mapping[str, int]) -> Architecture:
        """Return the cell; whether it is ternary, all networks of a study agree in."""
        skeleton = Skeleton(**{name: parameters[name] for name in _SIZES})
        return Architecture(cell=str(Cell.from_index(parameters["cell"])), skeleton=skeleton)


FAMILY = CellFamily()


def skeleton_name(skeleton: Skeleton) -> str:
    """Write a skeleton in a few characters: width, cells per stage, input."""
    return (
        f"C{skeleton.stem_channels} N{skeleton.cells_per_stage} "
        f"{skeleton.resolution}×{skeleton.resolution}×{skeleton.input_channels}"
        + (" ternary" if skeleton.ternary else "")
    )


def cell_name(cell: str) -> str:
    """Write a cell's six operations in edge order, dead edges as dashes."""
    return " ".join(_SHORT_OPERATIONS[op] for op in Cell.parse(cell).without_dead_edges().edges)


def _known_accuracies(task: Task) -> "AccuracyTable":
    """Return the accuracy table; an empty one where the shipped one cannot be had.

    Raises:
        WrongInputError: the task names a table that cannot be read.
    """
    from automcu.networks.cells.accuracies import (
        accuracy_prior,
        read_accuracy_table,
        unknown_accuracies,
    )

    if task.accuracy_table is not None:
        return read_accuracy_table(
            task.accuracy_table, cast("AccuracyDataset", task.accuracy_dataset)
        )
    try:
        return accuracy_prior()
    except ToolError as error:
        task.log("prior missing", reason=str(error))
        return unknown_accuracies()
