"""The agents in `benchmarks.nas`: a language model chooses the cells that are trained.

The Architect and the Critic work as in `automcu design`, from the feasible set and what was
trained, and without any table. The first cell is the offline planner's, and so is every one where a
turn brings no usable answer, as in a run: `answered` says how many of the others the model chose.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from automcu.networks.cells.plan import plan
from automcu.networks.cells.search import next_proposal
from automcu.networks.family import Observation
from automcu.planner.council import Council, FeasibleSpace
from automcu.planner.language_model import Disguise, LanguageModel
from automcu.planner.records import ModelSettings
from automcu.planner.servers import start_local_server
from benchmarks.nas_searches import Oracle, Task

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

    def __call__(self, oracle: Oracle, task: Task, seed: int) -> None:
        """Train cells until there are no queries left."""
        with tempfile.TemporaryDirectory() as folder:
            disguise = Disguise.drawn(seed) if self.blind else None
            model = LanguageModel(self.settings, Path(folder), disguise=disguise)
            space = FeasibleSpace([task.without_table], task.latency_limit_ms)
            council = Council(model, space, seed, notify=self.problems.add)
            self._search(oracle, task, council, seed)

    def _search(self, oracle: Oracle, task: Task, council: Council, seed: int) -> None:
        """The first cell is the offline planner's, as in a run."""
        ranked = task.ranked_without_table
        proposals = plan([ranked], budget=oracle.left, seed=seed)
        seen: list[Observation] = []
        while oracle.left:
            rank, chosen = len(seen) + 1, None
            if seen:
                chosen, _ = council.choose(seen, rank, oracle.left, may_stop=False)
                self.proposed += chosen is not None
                self.lost += chosen is None
            proposal = chosen or next_proposal(
                proposals, lambda _: ranked, seen, seed=seed, rank=rank
            )
            if proposal is None:
                return
            accuracy = oracle.train(proposal.architecture.index)
            seen.append(Observation(architecture=proposal.architecture, accuracy_percent=accuracy))


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
