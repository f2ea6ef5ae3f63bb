"""Who speaks when: Critic, then Architect, at the end the Reporter, from typed summaries alone.

Plain code decides. The networks that fit are numbered surveys that agents can ask about and choose
from. A turn of an agent that gives no usable answer is lost; the network of that turn then comes
from the offline planner, so a run without a working server is an offline run. Last the Reporter
puts the run into words, of which every figure is in the records and none claims more than they say.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from automcu.networks.cells.cell import Cell
from automcu.networks.cells.prior import rank_cells
from automcu.networks.cells.skeleton import Architecture, FeasibleCell, Survey
from automcu.networks.family import Observation, Proposal
from automcu.planner.language_model import LanguageModel
from automcu.planner.records import (
    AgentTurns,
    ArchitectAnswer,
    ArchitectView,
    CellEdges,
    Choice,
    CriticAnswer,
    CriticView,
    Finding,
    FoundCell,
    HistorySummary,
    Question,
    ReporterAnswer,
    ReporterView,
    SkeletonSummary,
    SpaceSummary,
    TrainedSummary,
)
from automcu.records import resource_folder

_CELLS_SHOWN = 8
_TRAINED_SHOWN = 6
_FEWEST_FIGURES = 2
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
MEASURED = "measured"
"""The `latency_source` of what silicon took; everything else comes from a model."""

_THINGS = (
    r"(?:boards?|hardware|silicon|silizium|devices?|chips?|targets?|mcus?|(?:micro|mikro)?controllers?|"
    r"platine|gerate?|stm32\w*|nucleo\w*|nrf\w*|esp32\w*|discovery|devkit\w*)"
)
_NAME = "theboardsname"
_BETWEEN = r"((?:\W+\w+){0,4}?)\W+"
_ON = r"\b(?:on|onto|auf|im)\b"
_RAN = (
    r"\b(?:ran|runs?|running|execut\w+|test(?:ed|s)|verif\w+|validated|confirmed|prove[nd]|"
    r"flashed|observed|evaluated|lief|lauft|getestet|gepruft|verifiziert|bestatigt|ausgefuhrt)\b"
)
# Claims as they stand, and claims unless the words between say that the thing was emulated.
_CLAIM = re.compile(
    r"\b(?:measur|gemess|vermess|messung|messwert|mesur|medid|misurat|benchmark|clocked|timed|"
    r"profiled|gestoppt|silicon|silizium)\w*|\bhardware\b|\breal[ -](?:world|life)\b"
    rf"|\b(?:real|actual|physical|genuine|echt\w*|wirklich\w*|physisch\w*)\W+(?:\w+\W+)?{_THINGS}\b"
    rf"|\bon[ -]?{_THINGS}\b"
)
_CLAIM_UNLESS_EMULATED = (
    re.compile(rf"{_ON}{_BETWEEN}{_THINGS}\b"),
    re.compile(rf"{_RAN}(?:\W+\w+){{0,8}}?\W+{_ON}{_BETWEEN}{_NAME}\b"),
)
_EMULATED = re.compile(r"\b(?:virtu|emul|simul|model|qemu)")
# Of the same words with all that is no letter taken out: "m-e-a-s-u-r-e-d".
_SPELLED_OUT = re.compile(r"measur|gemessen|silicon|silizium|realhardware|onhardware|ondevice")


class FeasibleSpace:
    """Surveys by number, from 1, in the plan's order."""

    def __init__(self, surveys: Sequence[Survey], latency_limit_ms: float | None) -> None:
        self._surveys = tuple(surveys)
        self._limit = latency_limit_ms
        self._ranked = tuple(rank_cells(survey, latency_limit_ms) for survey in self._surveys)

    def summary(self) -> SpaceSummary:
        """Return what there is, without the cells."""
        return SpaceSummary(
            device=self._surveys[0].device,
            max_latency_ms=self._limit,
            skeletons=tuple(
                _skeleton_summary(number, survey)
                for number, survey in enumerate(self._surveys, start=1)
                if survey.feasible_cells
            ),
        )

    def history(self, observations: Sequence[Observation]) -> HistorySummary:
        """Return the best of what was trained; its size does not grow with the run."""
        numbers = {survey.skeleton: at for at, survey in enumerate(self._surveys, start=1)}
        trained = [
            TrainedSummary(
                skeleton=numbers[cell.skeleton],
                cell=_edges(cell.index),
                accuracy_percent=round(percent, 2),
            )
            for cell, percent in _cells(observations)
            if percent is not None and cell.skeleton in numbers
        ]
        trained.sort(key=lambda one: -one.accuracy_percent)
        return HistorySummary(trained=len(trained), best=tuple(trained[:_TRAINED_SHOWN]))

    def answer(self, question: Question, seed: int) -> Finding:
        """Answer a question; the same for the same seed."""
        found = self._passing(question)
        if question.tool == "neighbours":
            wanted = question.cell
            found = [p for p in found if wanted and _edits(wanted, _edges(p[1].index)) == 1]
        shown = found
        if question.tool == "front":
            shown = self._front(found)
        elif question.tool == "sample" and len(found) > _CELLS_SHOWN:
            drawn = np.random.default_rng(seed).choice(len(found), _CELLS_SHOWN, replace=False)
            shown = [found[at] for at in sorted(drawn)]
        elif question.tool == "count":
            shown = []
        return Finding(
            question=question,
            count=len(found),
            cells=tuple(_found(number, cell) for number, cell in shown[:_CELLS_SHOWN]),
        )

    def proposal(self, choice: Choice, seen: Iterable[Observation], rank: int) -> Proposal | None:
        """Return the network asked for, or the nearest that fits and was not chosen before.

        Nearest means fewest edges changed, and of those the most promising; in the skeleton asked
        for, or the first one where that does not exist. None where nothing is left in it.
        """
        at = choice.skeleton - 1 if choice.skeleton <= len(self._surveys) else 0
        skeleton = self._surveys[at].skeleton
        taken = {_network(cell.index) for cell, _ in _cells(seen) if cell.skeleton == skeleton}
        cells = self._ranked[at].cells.values()
        left = [cell for cell in cells if _network(cell.index) not in taken]
        if not left:
            return None
        scores = self._ranked[at].scores
        nearest = min(
            left,
            key=lambda cell: (
                _edits(choice.cell, _edges(cell.index)),
                -scores[cell.index],
                cell.index,
            ),
        )
        return self._ranked[at].proposal(nearest.index, rank)

    def is_exactly(self, proposal: Proposal, choice: Choice) -> bool:
        """Say whether a proposal is what was asked for, or only the nearest to it."""
        if choice.skeleton > len(self._surveys):
            return False
        skeleton = self._surveys[choice.skeleton - 1].skeleton
        return proposal.architecture == Architecture(cell=str(Cell(choice.cell)), skeleton=skeleton)

    def _passing(self, question: Question) -> list[tuple[int, FeasibleCell]]:
        limit = question.max_latency_ms
        return [
            (number, cell)
            for number, ranked in enumerate(self._ranked, start=1)
            if question.skeleton in (None, number)
            for cell in ranked.cells.values()
            if limit is None or cell.latency_ms <= limit
        ]

    def _front(self, found: list[tuple[int, FeasibleCell]]) -> list[tuple[int, FeasibleCell]]:
        front: list[tuple[int, FeasibleCell]] = []
        scores = [ranked.scores for ranked in self._ranked]
        by_score = sorted(
            found, key=lambda pair: (-scores[pair[0] - 1][pair[1].index], pair[1].index)
        )
        for pair in by_score:
            if all(pair[1].latency_ms < other.latency_ms for _, other in front):
                front.append(pair)
        return front


def _skeleton_summary(number: int, survey: Survey) -> SkeletonSummary:
    latencies = [cell.latency_ms for cell in survey.feasible_cells]
    return SkeletonSummary(
        number=number,
        stem_channels=survey.skeleton.stem_channels,
        cells_per_stage=survey.skeleton.cells_per_stage,
        resolution=survey.skeleton.resolution,
        feasible=len(latencies),
        fastest_ms=round(min(latencies), 3),
        slowest_ms=round(max(latencies), 3),
    )


def _found(number: int, cell: FeasibleCell) -> FoundCell:
    return FoundCell(skeleton=number, cell=_edges(cell.index), latency_ms=round(cell.latency_ms, 3))


def _cells(seen: Iterable[Observation]) -> Iterator[tuple[Architecture, float | None]]:
    """What was chosen, and its accuracy in percent."""
    for one in seen:
        if isinstance(one.architecture, Architecture):
            yield one.architecture, one.accuracy_percent


def _edges(index: int) -> CellEdges:
    one, two, three, four, five, six = Cell.from_index(index).edges
    return (one, two, three, four, five, six)


def _edits(one: CellEdges, other: CellEdges) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def _network(index: int) -> Cell:
    return Cell.from_index(index).without_dead_edges()


# Rounds of questions before the Architect has to propose.
_ROUNDS = 3
_CRITIC_SPEAKS_AFTER = 2


@dataclass
class Council:
    """The agents of one run. `notify` is called with the reason of every turn that was lost.

    `server` is what has to live as long as the agents do, where the model runs on this machine.
    """

    model: LanguageModel
    space: FeasibleSpace
    seed: int
    notify: Callable[[str], None] = lambda reason: None
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
        self.notify(self.model.problem or "the Architect proposed nothing")
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


def report_in_words(model: LanguageModel, view: ReporterView) -> str | None:
    """Return the Reporter's paragraph; None, with the reason in `problem`, where it cannot stand.

    It stands where every figure is the run's, it is about the run, and what was modelled is not
    said to be measured.
    """
    answer = model.ask("reporter", instructions("reporter"), view, ReporterAnswer)
    if answer is None:
        return None
    model.problem = _objection(answer.paragraph, view)
    return None if model.problem else " ".join(answer.paragraph.split())


def _objection(paragraph: str, view: ReporterView) -> str | None:
    foreign = figures_of_its_own(paragraph, view)
    if foreign:
        return f"the Reporter made up the figure {foreign[0]}"
    if not is_about_the_run(paragraph, view):
        return "the Reporter's paragraph is not about the run"
    claim = claim_of_measuring(paragraph, view)
    return f"the Reporter says “{claim}” of what was modelled" if claim else None


def plain_paragraph(view: ReporterView) -> str:
    """Return the run in words without any model."""
    kept = "Every limit was kept." if view.every_limit_kept else view.limits
    return (
        f"{view.networks_that_fit:,} of {view.networks_judged:,} networks fit {view.device}; "
        f"{view.networks_trained} were trained. The best one answers "
        f"{view.accuracy_percent:.2f} % of the test inputs right ({view.executed}) and takes "
        f"{view.latency_ms:.3g} ms ({view.latency_source}), {view.flash_bytes:,} bytes of flash "
        f"and {view.ram_bytes:,} bytes of RAM. {kept}"
    )


def claim_of_measuring(paragraph: str, view: ReporterView) -> str | None:
    """Return the words that call something measured, or run on hardware, where nothing was.

    English and German, a few words of their neighbours, in any spelling. What is not in Latin
    letters cannot be checked, and counts as such a claim.
    """
    if view.latency_source == MEASURED:
        return None
    text = _folded(paragraph.replace(view.device, f" {_NAME} "))
    found = _CLAIM.search(text) or _SPELLED_OUT.search(re.sub(r"[^a-z]", "", text))
    if found:
        return found[0]
    for claim in _CLAIM_UNLESS_EMULATED:
        for match in claim.finditer(text):
            if not _EMULATED.search(match[1]):
                return match[0].replace(_NAME, view.device)
    foreign = [letter for letter in text if letter.isalpha() and not _is_latin(letter)]
    return foreign[0] if foreign else None


def _folded(text: str) -> str:
    """Return a text in small letters, without accents, ligatures and invisible characters."""
    plain = " ".join(unicodedata.normalize("NFKD", text.casefold()).replace("_", " ").split())
    return "".join(one for one in plain if unicodedata.category(one) not in ("Mn", "Cf", "Cc"))


def _is_latin(letter: str) -> bool:
    # The Greek letter is that of µs and µJ.
    return letter == "μ" or unicodedata.name(letter, "").startswith("LATIN")


def is_about_the_run(paragraph: str, view: ReporterView) -> bool:
    """Say whether a text names the board and some of the figures; small models drift away."""
    figures = _NUMBER.findall(paragraph.replace(view.device, " "))
    return view.device in paragraph and len(figures) >= _FEWEST_FIGURES


def figures_of_its_own(paragraph: str, view: ReporterView) -> list[str]:
    """Return the numbers of a text that are not in the view; names such as boards' may hold some.

    A figure may be rounded, to no fewer than two digits.
    """
    values = [float(v) for v in view.model_dump().values() if isinstance(v, int | float)]
    text = paragraph.replace(view.device, " ")
    return [found for found in _NUMBER.findall(text) if not _is_one_of(found, values)]


def _is_one_of(written: str, values: list[float]) -> bool:
    digits = written.replace(",", "")
    decimals = len(digits.partition(".")[2])
    significant = len(digits.replace(".", "").lstrip("0"))
    return any(
        float(digits) == value or (significant >= 2 and float(digits) == round(value, decimals))
        for value in values
    )
