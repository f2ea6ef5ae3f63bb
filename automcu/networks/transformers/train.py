"""Training a vision transformer: float teacher, ternary student, quantised ONNX file."""

import torch

from automcu.export.float_onnx import export_onnx
from automcu.export.quantise import calibration_inputs
from automcu.networks.family import FLOAT_MODEL, INT8_MODEL
from automcu.networks.transformers.onnx import export_transformer
from automcu.networks.transformers.shape import TransformerShape
from automcu.networks.transformers.torch import build_vision_transformer
from automcu.training.evaluation import accuracy
from automcu.training.loop import fit
from automcu.training.recipe import teachers_recipe, transformer_recipe_for
from automcu.training.records import Trained, Training
from automcu.training.ternary import fit_ternary


def train_transformer(shape: TransformerShape, training: Training) -> Trained:
    """Train a float teacher and its ternary student; the accuracy is the teacher's."""
    recipe = transformer_recipe_for(training.data, training.seconds)
    first = teachers_recipe(recipe)
    torch.manual_seed(training.seed)
    teacher = build_vision_transformer(shape, ternary=False)
    curve = fit(teacher, training, first, "float, ")
    student = build_vision_transformer(shape, ternary=True)
    ternary = fit_ternary(student, teacher, training, recipe)
    export_onnx(teacher, training.data.input_shape, training.folder / FLOAT_MODEL)
    export_transformer(student, calibration_inputs(training.data), training.folder / INT8_MODEL)
    return Trained(
        recipe=first,
        training=curve,
        ternary=ternary,
        float_accuracy=accuracy(teacher, training.data.validation),
        parameters=sum(parameter.numel() for parameter in student.parameters()),
    )
