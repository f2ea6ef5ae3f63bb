import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from automcu.planner.agents import LanguageModel, ModelSettings, ReporterView, report_in_words
from automcu.planner.agents.reporter import figures_of_its_own

VIEW = ReporterView(
    device="stm32f407g-disc1",
    networks_judged=296875,
    networks_that_fit=45829,
    networks_trained=6,
    accuracy_percent_on_board=97.77,
    latency_ms=4.8137,
    latency_source="modelled",
    flash_bytes=51200,
    ram_bytes=9000,
    every_limit_kept=True,
)
TRUE = "On the stm32f407g-disc1, 45,829 of 296,875 networks fit; 6 were trained. 97.8 %, 4.81 ms."


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        (TRUE, []),
        ("It is 98.5 % accurate.", ["98.5"]),
        ("It takes 5 ms.", ["5"]),
        ("51,200 bytes of flash, 64 KB of RAM", ["64"]),
    ],
)
def test_figures_that_are_in_no_record_are_found(text: str, foreign: list[str]) -> None:
    assert figures_of_its_own(text, VIEW) == foreign


def test_a_paragraph_is_kept_only_if_every_figure_is_true(
    serve: Any, say: Callable[..., None], tmp_path: Path
) -> None:
    told = [TRUE, TRUE.replace("97.8", "99.9"), "A game was improved by a military test."]
    server = serve(
        lambda handler, body, count: say(handler, json.dumps({"paragraph": told[count - 1]}))
    )
    model = LanguageModel(ModelSettings(model="t", base_url=server.url, attempts=1), tmp_path)
    assert report_in_words(model, VIEW) == TRUE
    assert report_in_words(model, VIEW) is None
    assert model.problem == "the Reporter made up the figure 99.9"
    assert report_in_words(model, VIEW) is None
    assert model.problem == "the Reporter's paragraph is not about the run"
