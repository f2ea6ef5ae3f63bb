import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from automcu.planner.council import (
    claim_of_measuring,
    figures_of_its_own,
    plain_paragraph,
    report_in_words,
)
from automcu.planner.language_model import LanguageModel
from automcu.planner.records import ModelSettings, ReporterView

VIEW = ReporterView(
    device="stm32f407g-disc1",
    networks_judged=296875,
    networks_that_fit=45829,
    networks_trained=6,
    accuracy_percent=97.77,
    executed="an emulator of the core ran the whole firmware",
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
    serve: Any, reply: Callable[..., None], tmp_path: Path
) -> None:
    reported = [TRUE, TRUE.replace("97.8", "99.9"), "A game was improved by a military test."]
    server = serve(
        lambda handler, body, count: reply(handler, json.dumps({"paragraph": reported[count - 1]}))
    )
    model = LanguageModel(ModelSettings(model="t", base_url=server.url, attempts=1), tmp_path)
    assert report_in_words(model, VIEW) == TRUE
    assert report_in_words(model, VIEW) is None
    assert model.problem == "the Reporter made up the figure 99.9"
    assert report_in_words(model, VIEW) is None
    assert model.problem == "the Reporter's paragraph is not about the run"


@pytest.mark.parametrize(
    "claim",
    [
        "It takes a measured 4.81 ms.",
        "It takes 4.81 ms (MEASURED).",
        "Measurements gave 4.81 ms.",
        "We mea\u00adsured 4.81 ms.",
        "m e a s u r e d: 4.81 ms",
        "m-e-a-s-u-r-e-d",
        "ｍｅａｓｕｒｅｄ at 4.81 ms",
        "me\u200basured at 4.81 ms",
        "mеasured at 4.81 ms",  # its second letter is Cyrillic
        "97.77 % on the board",
        "97.77 % on\nthe  BOARD",
        "97.77 % on real hardware",
        "97.77 % on-device",
        "verified on silicon",
        "tested on the device",
        "runs on a real microcontroller in 4.81 ms",
        "it ran with 97.77 % on the stm32f407g-disc1",
        "The actual STM32F407 needs 4.81 ms.",
        "benchmarked at 4.81 ms",
        "gemessen: 4.81 ms",
        "4.81 ms auf dem Board",
        "auf echter Hardware geprüft",
        "getestet auf dem Gerät",
        "läuft auf dem stm32f407g-disc1 in 4.81 ms",
        "измерено 4.81 ms",
    ],
)
def test_what_was_modelled_is_not_said_to_be_measured_in_any_spelling(claim: str) -> None:
    assert claim_of_measuring(f"{TRUE} {claim}", VIEW)
    measured = VIEW.model_copy(update={"latency_source": "measured"})
    assert claim_of_measuring(f"{TRUE} {claim}", measured) is None


@pytest.mark.parametrize(
    "true",
    [
        TRUE,
        "A modelled latency of 4.81 ms on the stm32f407g-disc1, and 97.77 % right.",
        "97.77 % on a virtual board; a virtual STM32 took 4.81 ms or 4,813.7 µs (modelled).",
        "The firmware ran on an emulator of the stm32f407g-disc1.",
        "Modelliert sind 4.81 ms, auf einem virtuellen Board.",
        plain_paragraph(VIEW),
    ],
)
def test_what_is_true_of_a_model_may_be_said(true: str) -> None:
    assert claim_of_measuring(true, VIEW) is None


def test_a_paragraph_that_claims_too_much_is_refused_with_the_words(
    serve: Any, reply: Callable[..., None], tmp_path: Path
) -> None:
    server = serve(
        lambda handler, *_: reply(handler, json.dumps({"paragraph": TRUE + " Measured."}))
    )
    model = LanguageModel(ModelSettings(model="t", base_url=server.url, attempts=1), tmp_path)
    assert report_in_words(model, VIEW) is None
    assert model.problem == "the Reporter says “measured” of what was modelled"


def test_the_plain_paragraph_has_no_figure_of_its_own_and_is_about_the_run() -> None:
    assert figures_of_its_own(plain_paragraph(VIEW), VIEW) == []
    assert "97.77 %" in plain_paragraph(VIEW) and "4.81 ms (modelled)" in plain_paragraph(VIEW)
    missed = VIEW.model_copy(update={"every_limit_kept": False})
    assert plain_paragraph(missed).endswith("Not every limit was kept.")
