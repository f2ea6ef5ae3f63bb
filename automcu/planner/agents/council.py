"""Who speaks when: Critic, then Architect, each from typed summaries alone.

Plain code decides. A turn of an agent that gives no usable answer is lost; the network of that
turn then comes from the offline planner, so a run without a working server is an offline run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from automcu.networks.family import Observation, Proposal
from automcu.planner.agents.feasible_space import FeasibleSpace
from automcu.planner.agents.language_model import LanguageModel
from automcu.planner.agents.records import (
    AgentTurns,
    ArchitectAnswer,
    ArchitectView,
    Choice,
    CriticAnswer,
    CriticView,
    Finding,
)
from automcu.resources import resource_folder

# Rounds of questions before the Architect has to propose.
_ROUNDS = 3
_CRITIC_SPEAKS_AFTER = 2


@dataclass
class Council:
    """The agents of one run. `tell` hears of every turn that was lost, with the reason.

    `server` is what has to live as long as the agents do, where the model runs on this machine.
    """

    model: LanguageModel
    space: FeasibleSpace
    seed: int
    tell: Callable[[str], None] = lambda reason: None
    turns: AgentTurns = field(default_factory=AgentTurns)
    server: object = None

    def choose(
        self, seen: Sequence[Observation], rank: int, budget_left: int, may_stop: bool
    ) -> tuple[Proposal | None, bool]:
        """Return the Architect's next network, and whether the Critic says that it is enough.

        The Critic is only heard on that where the run `may_stop`.
        """
        advice = self._advice(seen, budget_left)
        if advice and advice.stop and may_stop:
            return None, True
        for choice in self._choices(seen, advice, rank):
            proposal = self.space.proposal(choice, seen, rank)
            if proposal:
                replaced = not self.space.is_exactly(proposal, choice)
                self._count(proposed=1, replaced=int(replaced))
                return proposal, False
        self._count(lost=1)
        self.tell(self.model.problem or "the Architect proposed nothing")
        return None, False

    def _advice(self, seen: Sequence[Observation], budget_left: int) -> CriticAnswer | None:
        history = self.space.history(seen)
        if history.trained < _CRITIC_SPEAKS_AFTER:
            return None
        view = CriticView(history=history, budget_left=budget_left)
        return self.model.ask("critic", instructions("critic"), view, CriticAnswer)

    def _choices(
        self, seen: Sequence[Observation], advice: CriticAnswer | None, rank: int
    ) -> Sequence[Choice]:
        """Let the Architect ask, each time seeing only the last findings, until it proposes."""
        findings: tuple[Finding, ...] = ()
        for turn in range(_ROUNDS):
            view = ArchitectView(
                space=self.space.summary(),
                history=self.space.history(seen),
                advice=advice,
                findings=findings,
            )
            answer = self.model.ask("architect", instructions("architect"), view, ArchitectAnswer)
            if answer is None or answer.proposals or not answer.questions:
                return answer.proposals if answer else ()
            seed = self.seed + 100 * rank + turn
            findings = tuple(self.space.answer(one, seed) for one in answer.questions)
        return ()

    def _count(self, **more: int) -> None:
        grown = {name: getattr(self.turns, name) + by for name, by in more.items()}
        self.turns = self.turns.model_copy(update=grown)


def instructions(agent: str) -> str:
    """Return an agent's Markdown file."""
    return (resource_folder("agents") / f"{agent}.md").read_text("utf-8")
