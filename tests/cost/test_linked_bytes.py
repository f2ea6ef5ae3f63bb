"""What is promised before training is what the linker reports after it."""

from pathlib import Path

import pytest

from automcu.compiler import compile_graph, import_onnx, write_project
from automcu.mcu import find_device
from automcu.networks.estimate import estimate
from automcu.toolchains import build_project, write_firmware
from tests.quantised_networks import QuantisedNetwork

LEAST_BYTES = 800  # compilers are not linear: 2 % holds from 40 KB on


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
