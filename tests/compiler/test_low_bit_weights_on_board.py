"""Layers with weights of 6, 4, 3 and 2 bits on a virtual board, in the kernels for its core."""

from pathlib import Path

import numpy as np
import pytest

from automcu.boards.bench import bench_project
from automcu.calibration.networks import with_random_weights
from automcu.compiler import Graph, Operator, Quantisation, Tensor, compile_graph, write_project
from automcu.compiler.ops import Add, Convolution
from automcu.compiler.tensor import Window
from automcu.compiler.weight_packing import LAYOUTS
from automcu.mcu import find_device
from automcu.toolchains import build_project, find_compiler

SAME = Window(3, 3, padding=(1, 1, 1, 1))


def every_shape_of_kernel(bits: int) -> Graph:
    """Gathered, pointwise with a short last row, strided, summed, and connected layers."""
    scale = Quantisation(1.0, 0)
    tensors = [Tensor("input", (11, 9, 1), scale)]
    operators = []
    layers: list[tuple[Convolution | Add, int | None]] = [
        (Convolution(Window(4, 3, padding=(1, 1, 2, 1)), 6, weight_bits=bits), None),
        (Convolution(Window(1, 1), 20, weight_bits=bits), None),
        (Convolution(Window(3, 3, (2, 2), (1, 1, 1, 1)), 8, weight_bits=bits), None),
        (Convolution(SAME, 8, weight_bits=bits), None),
        (Add(), -2),
        (Convolution(Window(6, 5), 24, weight_bits=bits), None),
        (Convolution(Window(1, 1), 5, weight_bits=bits), None),
    ]
    for index, (attributes, other) in enumerate(layers):
        names = [tensors[-1].name] + ([tensors[other].name] if other else [])
        shape = attributes.output_shape(tensors[-1].shape)
        tensors.append(Tensor(f"tensor{index}", shape, scale))
        operators.append(Operator(f"layer{index}", tuple(names), f"tensor{index}", attributes))
    by_name = {tensor.name: tensor for tensor in tensors}
    return Graph(by_name, tuple(operators), "input", tensors[-1].name)


@pytest.mark.parametrize("bits", LAYOUTS)
def test_the_board_computes_the_reference_byte_for_byte(bits: int, tmp_path: Path) -> None:
    device = find_device("stm32f407g-disc1")
    program = compile_graph(with_random_weights(every_shape_of_kernel(bits), bits), device)
    variants = [kernel.variant for kernel in program.kernels.values()]
    reduced = [variant for variant in variants if variant.endswith(f" {bits}-bit")]
    assert sum(variant.startswith("armv7e-m") for variant in reduced) == 5
    assert variants.count(f"portable {bits}-bit") == 1, "an odd number of channels"
    inputs = np.random.default_rng(0).integers(-128, 128, (3, 11, 9, 1), dtype=np.int8)
    write_project(program, device.id, tmp_path, golden_inputs=inputs)
    build_project(tmp_path, device, find_compiler(device.core))
    assert len(np.unique(program.run(inputs), axis=0)) == len(inputs)
    assert bench_project(tmp_path, device, "virtual").mismatches == 0
