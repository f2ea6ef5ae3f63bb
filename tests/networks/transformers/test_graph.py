"""What a transformer costs before it is trained is what its file costs afterwards."""

from pathlib import Path

import numpy as np
import pytest
import torch

from automcu.compiler import compile_graph, import_onnx
from automcu.cost.estimation import estimate_program
from automcu.errors import UnsupportedModelError
from automcu.mcu import find_device
from automcu.networks.transformers.family import TransformerShape
from automcu.networks.transformers.survey import transformer_graph
from automcu.networks.transformers.torch import build_vision_transformer, export_transformer


@pytest.mark.parametrize(
    "shape",
    [
        TransformerShape(resolution=12, patch=4, dim=24, depth=2, heads=2, mlp_ratio=2),
        TransformerShape(resolution=16, in_channels=3, patch=8, dim=40, depth=1, heads=4),
    ],
    ids=["12 pixels", "16 pixels"],
)
@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "nucleo-h743zi2"])
def test_the_graph_costs_what_the_exported_network_costs(
    shape: TransformerShape, board: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    sides = (8, shape.resolution, shape.resolution, shape.in_channels)
    images = np.random.default_rng(0).random(sides, dtype=np.float32)
    path = tmp_path / "transformer.onnx"
    export_transformer(build_vision_transformer(shape), images, path)
    device = find_device(board)
    exported, planned = (
        compile_graph(graph, device) for graph in (import_onnx(path), transformer_graph(shape))
    )
    assert planned.weight_bytes == exported.weight_bytes
    assert planned.arena.size == exported.arena.size
    assert planned.macs == exported.macs
    ours, theirs = (estimate_program(program, device) for program in (planned, exported))
    assert ours.cycles == theirs.cycles
    assert ours.flash_bytes == theirs.flash_bytes


def test_too_many_tokens_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="larger patches"):
        transformer_graph(TransformerShape(resolution=32, patch=1, dim=8, heads=1))
