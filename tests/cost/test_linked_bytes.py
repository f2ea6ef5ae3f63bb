"""What is promised before training is what the linker reports after it."""

from pathlib import Path

import pytest

from automcu.calibration.networks import with_random_weights
from automcu.compiler import compile_graph, import_onnx, write_project
from automcu.cost.estimation import estimate_program
from automcu.mcu import find_device
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.networks.estimate import estimate
from automcu.networks.transformers.family import TransformerShape
from automcu.networks.transformers.survey import transformer_graph
from automcu.toolchains import build_project, write_firmware
from tests.quantised_networks import QuantisedNetwork

LEAST_BYTES = 800  # compilers are not linear: 2 % holds from 40 KB on
TERNARY_CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|none~2|"


@pytest.mark.parametrize("number", [0, 7, 23])
def test_promised_bytes_are_linked_bytes(
    number: int, quantised_networks: "list[QuantisedNetwork]", tmp_path: Path
) -> None:
    device = find_device("stm32f407g-disc1")
    network = quantised_networks[number]
    promised = estimate(network.architecture, device)
    program = compile_graph(import_onnx(network.path), device)
    write_project(program, device.id, tmp_path)
    write_firmware(tmp_path, device)
    build = build_project(tmp_path, device)
    assert build.arena_bytes == promised.arena_bytes
    assert build.weight_bytes == promised.weight_bytes
    assert build.ram_bytes == promised.ram_bytes
    assert build.flash_bytes == pytest.approx(promised.flash_bytes, rel=0.02, abs=LEAST_BYTES)


@pytest.mark.parametrize("device", ["stm32f407g-disc1", "esp32-s3-devkitc-1"])
def test_small_firmwares_are_promised_within_some_hundred_bytes(
    device: str, tmp_path: Path
) -> None:
    """Functions that ternary layers share, and the constants of Xtensa's functions, count."""
    board = find_device(device)
    skeleton = Skeleton(stem_channels=4, cells_per_stage=1, resolution=8, ternary=True)
    graph = architecture_graph(Architecture(cell=TERNARY_CELL, skeleton=skeleton))
    program = compile_graph(with_random_weights(graph, seed=0), board)
    write_project(program, board.id, tmp_path)
    build = build_project(tmp_path, board)
    promised = estimate_program(program, board).flash_bytes
    assert build.flash_bytes == pytest.approx(promised, rel=0.02, abs=LEAST_BYTES)


def test_the_table_of_attention_is_promised_too(tmp_path: Path) -> None:
    device = find_device("stm32f407g-disc1")
    shape = TransformerShape(resolution=28, patch=7, dim=48, depth=2, heads=3, mlp_ratio=2)
    program = compile_graph(with_random_weights(transformer_graph(shape), seed=0), device)
    write_project(program, device.id, tmp_path)
    build = build_project(tmp_path, device)
    promised = estimate_program(program, device).flash_bytes
    assert build.flash_bytes == pytest.approx(promised, rel=0.02, abs=LEAST_BYTES)
