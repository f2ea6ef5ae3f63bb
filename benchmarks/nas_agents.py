"""The agents in `benchmarks.nas`: a language model chooses the cells that are trained.

The Architect and the Critic work as in `automcu design`, from the feasible set and what was
trained; cells have no latency here, their work stands in for it. Where a turn brings no usable
answer the offline planner chooses, as in a run: `answered` says how many the model chose itself.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.cost.records import FeasibleCell, Survey
from automcu.planner import CellPool, Observation, next_cell, zero_cost_rating
from automcu.planner.agents import (
    Council,
    Disguise,
    FeasibleSpace,
    LanguageModel,
    ModelSettings,
    start_local_server,
)
from automcu.planner.cell_pool import cell_work
from automcu.space import Cell, Skeleton
from benchmarks.nas_searches import Oracle

_LOCAL_TIME_OUT_S = 300.0
_LOCAL_ANSWER_TOKENS = 400


@dataclass
class AgentsSearch:
    """A search by agents; `blind` gives operations other names, others for each seed."""

    settings: ModelSettings
    blind: bool
    server: object = None
    proposed: int = 0
    lost: int = 0
    problems: set[str] = field(default_factory=set)

    def __call__(
        self, oracle: Oracle, feasible: Sequence[int], rating: NDArray[np.float64], seed: int
    ) -> None:
        """Train cells until there are no queries left."""
        pool = CellPool.rated(feasible, zero_cost_rating(rating, feasible))
        with tempfile.TemporaryDirectory() as folder:
            disguise = Disguise.drawn(seed) if self.blind else None
            model = LanguageModel(self.settings, Path(folder), disguise=disguise)
            council = Council(model, _space(feasible), seed, tell=self.problems.add)
            self._search(oracle, pool, council, seed)

    def _search(self, oracle: Oracle, pool: CellPool, council: Council, seed: int) -> None:
        trained: dict[int, float] = {}
        while oracle.left:
            seen = [
                Observation(skeleton=Skeleton(), cell_index=index, accuracy_percent=accuracy)
                for index, accuracy in trained.items()
            ]
            chosen, _ = council.choose(seen, len(trained) + 1, oracle.left, may_stop=False)
            self.proposed += chosen is not None
            self.lost += chosen is None
            index = chosen.cell_index if chosen else next_cell(pool, trained, seed)
            if index is None:
                return
            trained[index] = oracle.train(index) or 0.0


def agents_search(
    planner: str, model: str | None, base_url: str | None, blind: bool
) -> AgentsSearch:
    """Agents with a model on a server, or with one on this machine.

    Raises:
        ToolError: the local model, or what runs it, is missing.
    """
    if planner == "llm":
        settings = ModelSettings(model=model or "", base_url=base_url, max_tokens=10**9)
        return AgentsSearch(settings, blind)
    server = start_local_server(Path(model) if model else None)
    settings = ModelSettings(
        model=server.model,
        base_url=server.base_url,
        timeout_s=_LOCAL_TIME_OUT_S,
        attempts=1,
        max_tokens=10**9,
        max_answer_tokens=_LOCAL_ANSWER_TOKENS,
    )
    return AgentsSearch(settings, blind, server)


def _space(feasible: Sequence[int]) -> FeasibleSpace:
    work = cell_work()
    cells = tuple(
        FeasibleCell(
            index=index,
            architecture=str(Cell.from_index(index)),
            prior=None,
            latency_ms=float(work[index]) + 1.0,
            flash_bytes=0,
            ram_bytes=0,
        )
        for index in feasible
    )
    survey = Survey.model_construct(device="a board", skeleton=Skeleton(), feasible_cells=cells)
    return FeasibleSpace([survey], None)
