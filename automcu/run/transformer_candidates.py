"""Training a vision transformer of a run: float teacher, ternary student, quantised ONNX file."""

from pathlib import Path

import torch

from automcu.datasets.record import Dataset
from automcu.datasets.resize import resized
from automcu.export.evaluation import onnx_accuracy
from automcu.export.float_onnx import export_onnx
from automcu.networks.transformers.onnx import export_transformer
from automcu.networks.transformers.plan import TransformerProposal
from automcu.networks.transformers.torch import build_vision_transformer
from automcu.planner.review import Review
from automcu.run.candidate_files import FLOAT_MODEL, INT8_MODEL, calibration_inputs
from automcu.run.job import Job
from automcu.run.records import TrainedCandidate
from automcu.run.run_folder import sha256
from automcu.run.ternary_training import CHECKPOINT, fit, fit_ternary, teachers_recipe
from automcu.training.evaluation import accuracy
from automcu.training.recipe import transformer_recipe_for


def train_transformer(
    job: Job, home: Path, proposal: TransformerProposal, reviewed: Review, dataset: Dataset
) -> TrainedCandidate:
    """Train one; `float_accuracy` is the float teacher's, `int8_accuracy` the ternary network's."""
    verdict = reviewed.verdict
    assert verdict is not None, "only reviewed candidates are trained"
    shape = proposal.architecture
    data = resized(dataset, shape.resolution)
    recipe = transformer_recipe_for(data, job.settings.training_seconds)
    home.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(job.settings.seed)
    teacher = build_vision_transformer(shape, ternary=False)
    training = fit(job, teacher, data, teachers_recipe(recipe), home / CHECKPOINT, "float, ")
    training.save(home / "training.json")
    student = build_vision_transformer(shape, ternary=True)
    ternary = fit_ternary(job, student, teacher, data, recipe, home)
    export_onnx(teacher, data.input_shape, home / FLOAT_MODEL)
    export_transformer(student, calibration_inputs(data), home / INT8_MODEL)
    return TrainedCandidate(
        proposal=proposal,
        review=reviewed,
        recipe=teachers_recipe(recipe),
        training=training,
        ternary=ternary,
        float_accuracy=accuracy(teacher, data.validation),
        int8_accuracy=onnx_accuracy(home / INT8_MODEL, data.validation),
        macs=verdict.estimate.macs,
        parameters=sum(parameter.numel() for parameter in student.parameters()),
        model_sha256=sha256(home / INT8_MODEL),
    )
