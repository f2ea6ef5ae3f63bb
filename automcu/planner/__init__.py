"""The offline planner: which of the networks that fit are worth training."""

from automcu.planner.cell_pool import CellPool
from automcu.planner.counts import Counts
from automcu.planner.evolution import next_cell
from automcu.planner.expected_synflow import expected_synflow
from automcu.planner.grid import resolutions, skeleton_grid
from automcu.planner.merit import ASSUMED_LATENCY_MS, merit
from automcu.planner.plan import plan, search
from automcu.planner.prior import ZERO_COST, RankedCells, rank_cells, zero_cost_rating
from automcu.planner.proposing import next_proposal
from automcu.planner.records import Observation, Plan, Proposal, SkeletonSurvey
from automcu.planner.review import Review, review
from automcu.planner.scouting import Scouting, scout
from automcu.planner.study import Claim, Study, StudySummary, list_studies
from automcu.planner.transformers import (
    TransformerPlan,
    TransformerProposal,
    plan_transformers,
)

__all__ = [
    "ASSUMED_LATENCY_MS",
    "ZERO_COST",
    "CellPool",
    "Claim",
    "Counts",
    "Observation",
    "Plan",
    "Proposal",
    "RankedCells",
    "Review",
    "Scouting",
    "SkeletonSurvey",
    "Study",
    "StudySummary",
    "TransformerPlan",
    "TransformerProposal",
    "expected_synflow",
    "list_studies",
    "merit",
    "next_cell",
    "next_proposal",
    "plan",
    "plan_transformers",
    "rank_cells",
    "resolutions",
    "review",
    "scout",
    "search",
    "skeleton_grid",
    "zero_cost_rating",
]
