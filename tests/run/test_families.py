"""A run that weighs both families, with ternary cells: from the brief to the virtual board."""

import json
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from automcu.brief import Brief
from automcu.cli.runs import run_document
from automcu.errors import DoesNotFitError, WrongInputError
from automcu.networks.cells.skeleton import Architecture
from automcu.networks.estimate import estimate
from automcu.networks.family import Network
from automcu.networks.transformers.family import TransformerShape
from automcu.planner.plan import how_much_fits
from automcu.run.design import design
from automcu.run.job import Silent
from automcu.run.records import Run, Settings, TrainedCandidate

DEVICE = "stm32f407g-disc1"


def _brief(**changes: object) -> Brief:
    given = {"text": "", "device": DEVICE, "dataset": "digits", "max_latency_ms": 3.0}
    return Brief.model_validate({**given, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("families") / "run"
    settings = Settings(budget=2, training_seconds=4.0, weights="ternary")
    design(_brief(family="auto"), path, settings)
    return path


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return Run.load(folder / "run.json")


def _of(run: Run, kind: type[Network]) -> TrainedCandidate:
    return next(one for one in run.candidates if isinstance(one.proposal.architecture, kind))


def test_both_families_are_counted_and_each_has_a_turn(run: Run) -> None:
    families = run.plan.families
    assert run.plan.space == sum(plan.space for plan in families.values())
    assert run.plan.feasible == sum(plan.feasible for plan in families.values())
    assert 0 < families["vit"].feasible < families["vit"].space
    assert "cells" in how_much_fits(run.plan) and "transformers" in how_much_fits(run.plan)
    assert {type(one.proposal.architecture) for one in run.candidates} == {
        Architecture,
        TransformerShape,
    }


def test_the_board_answers_as_the_reference_within_the_limit(run: Run) -> None:
    assert run.measurement.mismatches == 0
    assert run.measurement.latency_ms.median <= 3.0
    assert run.build.arena_bytes == run.deployment.estimate.arena_bytes
    assert run.build.weight_bytes == run.deployment.estimate.weight_bytes


def test_each_proposal_is_a_file_and_a_line_of_the_log(run: Run, folder: Path) -> None:
    proposed = [line for line in _log(folder) if line["event"] == "proposed"]
    assert sorted(line["rank"] for line in proposed) == [1, 2]
    assert sum("transformer" in line for line in proposed) == 1
    for candidate in run.candidates:
        assert (folder / "candidates" / str(candidate.proposal.rank) / "proposal.json").is_file()


def _log(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_both_learn_from_a_float_teacher(run: Run) -> None:
    for candidate in run.candidates:
        assert candidate.ternary is not None
        assert candidate.ternary.imitation.curve and candidate.ternary.recovery.curve
        assert candidate.training_seconds > candidate.training.seconds


def test_a_ternary_cell_has_ternary_weights_where_its_cost_says_so(run: Run, folder: Path) -> None:
    cell = _of(run, Architecture)
    assert isinstance(cell.proposal.architecture, Architecture)
    assert cell.proposal.architecture.skeleton.ternary
    model = onnx.load(folder / "candidates" / str(cell.proposal.rank) / "int8.onnx")
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = [constants[n.input[0]] for n in model.graph.node if n.input[0] in constants]
    ternary = [one for one in weights if one.ndim == 4 and one.size >= 64 and abs(one).max() == 1]
    real = [one for one in weights if one.ndim == 4 and abs(one).max() > 1]
    layers = estimate(cell.proposal.architecture, run.device).layers
    assert len(ternary) == sum(layer.op.startswith("ternary") for layer in layers) > 0
    assert len(real) >= 1  # the stem


def test_the_document_and_the_report_name_the_family(run: Run, folder: Path) -> None:
    document = json.loads(json.dumps(run_document(run, folder)))
    is_transformer = isinstance(run.findings.chosen.architecture, TransformerShape)
    assert document["family"] == ("vit" if is_transformer else "cnn")
    assert document["candidates"]["families"].keys() == {"cnn", "vit"}
    assert document["candidates"]["trained"] == 2
    page = (folder / "report.html").read_text("utf-8")
    assert "vision transformers fit" in page and "ViT" in page


def test_resuming_repeats_nothing(run: Run, folder: Path) -> None:
    again = design(None, folder, resume=True)
    assert again.candidates == run.candidates
    assert again.deployment == run.deployment


def test_where_no_transformer_fits_the_message_says_by_how_much(tmp_path: Path) -> None:
    with pytest.raises(DoesNotFitError, match=r"No vision transformer fits.*it takes"):
        design(_brief(family="vit", max_latency_ms=0.01), tmp_path / "run", Settings())


def test_agents_do_not_choose_transformers(tmp_path: Path) -> None:
    with pytest.raises(WrongInputError, match="--family cnn"):
        design(_brief(family="vit"), tmp_path / "run", Settings(planner="local"), progress=Silent())
