"""A run in words, of which every figure is in the records and no word claims more than they say."""

import re
import unicodedata

from automcu.planner.council import instructions
from automcu.planner.language_model import LanguageModel
from automcu.planner.records import ReporterAnswer, ReporterView

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
