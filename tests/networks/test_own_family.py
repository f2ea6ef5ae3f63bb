"""A family of networks from outside the package: one convolution, of more or fewer channels."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from automcu.brief import Brief
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.ops import Convolution, Rescale
from automcu.compiler.tensor import Quantisation, Tensor, Window
from automcu.errors import WrongInputError
from automcu.export.float_onnx import export_onnx
from automcu.export.quantise import calibration_inputs, quantise_onnx
from automcu.networks import family
from automcu.networks.estimate import estimate, judge, score
from automcu.networks.family import (
    FLOAT_MODEL,
    INT8_MODEL,
    Description,
    Family,
    FamilyPlan,
    Network,
    Task,
    families,
    families_named,
    family_of,
    propose,
    register,
)
from automcu.run.design import design
from automcu.run.records import Run, Settings
from automcu.training.loop import accuracy, fit
from automcu.training.records import Trained, Training, recipe_for

DEVICE = "stm32f407g-disc1"
WIDTHS = (4, 8, 2048)
EPOCHS = 8


class Strip(Network):
    """Images to `width` channels by one 3x3 convolution, and all of them to classes."""

    side: int
    channels: int
    classes: int
    width: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.side, self.side, self.channels

    @property
    def class_count(self) -> int:
        return self.classes


class StripFamily(Family[Strip]):
    name = "strip"
    plural = "strips"
    title = "strips of one convolution"
    network = Strip

    def survey(self, task: Task) -> FamilyPlan:
        side, _, channels = task.input_shape
        strips = [
            Strip(side=side, channels=channels, classes=task.classes, width=w) for w in WIDTHS
        ]
        verdicts = [judge(strip, task.device, task.limits) for strip in strips]
        fitting = [
            (score(verdict.estimate, task.latency_limit_ms), strip, verdict.estimate)
            for strip, verdict in zip(strips, verdicts, strict=True)
            if verdict.fits
        ]
        fitting.sort(key=lambda one: -one[0])
        return FamilyPlan(
            prior="work",
            space=len(strips),
            feasible=len(fitting),
            proposals=tuple(
                propose(rank, strip, needs, value)
                for rank, (value, strip, needs) in enumerate(fitting, start=1)
            ),
            seconds=0.0,
            miss="No strip fits.",
        )

    def graph(self, network: Strip) -> Graph:
        any_scale = Quantisation(1.0, 0)
        half = -(-network.side // 2)
        features = (half, half, network.width)
        tensors = (
            Tensor("input", network.input_shape, any_scale),
            Tensor("features", features, None),  # the export quantises behind the ReLU alone
            Tensor("rectified", features, Quantisation(1.0, -128)),
            Tensor("logits", (1, 1, network.classes), any_scale),
        )
        window = Window(3, 3, (2, 2), (1, 1, 1, 1))
        classifier = Convolution(Window(half, half), network.classes)
        layers = (
            Operator("features", ("input",), "features", Convolution(window, network.width)),
            Operator("rectified", ("features",), "rectified", Rescale((0.0, float("inf")))),
            Operator("logits", ("rectified",), "logits", classifier),
        )
        return Graph({one.name: one for one in tensors}, layers, "input", "logits")

    def train(self, network: Strip, training: Training) -> Trained:
        torch.manual_seed(training.seed)
        module = nn.Sequential(
            nn.Conv2d(network.channels, network.width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(network.width, network.classes, -(-network.side // 2)),
            nn.Flatten(),
        )
        recipe = recipe_for(training.data).model_copy(update={"epochs": EPOCHS})
        curve = fit(module, training, recipe)
        model = training.folder / FLOAT_MODEL
        export_onnx(module, training.data.input_shape, model)
        quantise_onnx(model, calibration_inputs(training.data), training.folder / INT8_MODEL)
        return Trained(
            recipe=recipe,
            training=curve,
            float_accuracy=accuracy(module, training.data.validation),
            parameters=sum(one.numel() for one in module.parameters()),
        )

    def describe(self, network: Strip) -> Description:
        return Description(f"strip of {network.width}", f"{network.side}×{network.side}")


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    register(StripFamily())
    yield
    family._registered.pop(StripFamily.name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("strips") / "run"
    brief = Brief(text="", device=DEVICE, dataset="digits", family="strip", max_flash_bytes=30_000)
    design(brief, path, Settings(budget=2))
    return path


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return Run.load(folder / "run.json")


def test_it_is_found_beside_those_of_the_package() -> None:
    assert list(families()) == ["cnn", "vit", "strip"]
    assert list(families_named("auto")) == list(families())
    with pytest.raises(WrongInputError, match=r"'rnn' is unknown\. Use cnn, vit, strip, auto"):
        families_named("rnn")


def test_what_fits_is_judged_and_the_best_of_it_trained(run: Run) -> None:
    plan = run.plan.families["strip"]
    assert (plan.space, plan.feasible) == (3, 2)
    assert [one.architecture.width for one in plan.proposals] == [8, 4]
    trained = {one.proposal.architecture.width for one in run.candidates}
    assert trained == {8, 4}
    assert all(one.int8_accuracy > 0.6 for one in run.candidates)


def test_the_firmware_is_what_the_graph_without_weights_promised(run: Run) -> None:
    chosen = run.findings.chosen.architecture
    assert family_of(chosen).name == "strip"
    promised = estimate(chosen, run.device)
    assert run.build.weight_bytes == promised.weight_bytes
    assert run.build.arena_bytes == promised.arena_bytes
    assert run.measurement.mismatches == 0


def test_the_report_names_it_and_the_run_resumes(run: Run, folder: Path) -> None:
    page = (folder / "report.html").read_text("utf-8")
    assert "strip of 8" in page and "8×8" in page
    assert design(None, folder, resume=True).candidates == run.candidates
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [one["strip"]["width"] for one in log if one["event"] == "proposed"] == [8, 4]
