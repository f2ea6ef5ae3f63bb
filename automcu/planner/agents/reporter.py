"""A run in words, every figure of which is in the records."""

import re

from automcu.planner.agents.council import instructions
from automcu.planner.agents.language_model import LanguageModel
from automcu.planner.agents.records import ReporterAnswer, ReporterView

_FEWEST_FIGURES = 2
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")


def report_in_words(model: LanguageModel, view: ReporterView) -> str | None:
    """Return the Reporter's paragraph; None where there is none, or it has a figure of its own."""
    answer = model.ask("reporter", instructions("reporter"), view, ReporterAnswer)
    if answer is None:
        return None
    foreign = figures_of_its_own(answer.paragraph, view)
    if foreign:
        model.problem = f"the Reporter made up the figure {foreign[0]}"
        return None
    if not is_about_the_run(answer.paragraph, view):
        model.problem = "the Reporter's paragraph is not about the run"
        return None
    return " ".join(answer.paragraph.split())


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
