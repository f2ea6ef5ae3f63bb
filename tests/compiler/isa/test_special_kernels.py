"""Kernels for the DSP extension, as machine code on a virtual board, against the reference."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from automcu.boards.virtual.machine import count_cycles
from automcu.calibration.networks import LayerChain, with_random_weights
from automcu.compiler import Graph, Program, compile_graph, run_all_tensors
from automcu.compiler.compile import candidates
from automcu.compiler.graph import Attributes
from automcu.compiler.ops import Convolution
from automcu.compiler.tensor import Shape, Window
from automcu.mcu import Device, find_device
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.records import resource_folder
from automcu.toolchains import find_compiler
from automcu.toolchains.compiler import run_tool
from tests.compiler.compiled_model import write_sources
from tests.compiler.random_graphs import graphs

_numbers = count()
LIBRARY = ("runtime/memory.c", "ports/cortex_m/aeabi_memory.c")
CELL = "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"

CHECK = """\
#include "model.h"
#include "model_layers.h"

extern int8_t model_arena[MODEL_ARENA_BYTES];
uint32_t check(void);

static const int8_t input[] = {{{input}}};

typedef struct {{
    uint32_t offset;
    uint32_t size;
    const int8_t *bytes;
}} result;

{arrays}

static const result results[MODEL_LAYER_COUNT] = {{
{results}
}};

/* 0, or the number of the first layer whose result is wrong, counted from 1. */
uint32_t check(void)
{{
    for (uint32_t index = 0; index < MODEL_ARENA_BYTES; index++) {{
        model_arena[index] = 0x5A;
    }}
    for (uint32_t index = 0; index < MODEL_INPUT_BYTES; index++) {{
        model_input()[index] = input[index];
    }}
    for (uint32_t layer = 0; layer < MODEL_LAYER_COUNT; layer++) {{
        model_run_layer(layer);
        for (uint32_t index = 0; index < results[layer].size; index++) {{
            if (model_arena[results[layer].offset + index] != results[layer].bytes[index]) {{
                return layer + 1;
            }}
        }}
    }}
    return 0;
}}
"""


@pytest.fixture(scope="module")
def device() -> Device:
    return find_device("stm32f407g-disc1")


def first_wrong_layer(
    program: Program, device: Device, folder: Path, image: np.ndarray | None = None
) -> str | None:
    """Build the program with its expected results, run it, and name the layer that differs.

    Where no image is given, its values are random.
    """
    graph = program.graph
    shape = graph.tensors[graph.input].shape
    if image is None:
        image = np.random.default_rng(0).integers(-128, 128, shape, dtype=np.int8)
    image = image.astype(np.int8)
    expected = run_all_tensors(graph, image[None])
    outputs = [op.output for op in graph.operators]
    sources = write_sources(program, folder)
    (folder / "check.c").write_text(
        CHECK.format(
            input=_numbers_of(image),
            arrays="\n".join(
                f"static const int8_t layer{index}[] = {{{_numbers_of(expected[name])}}};"
                for index, name in enumerate(outputs)
            ),
            results=",\n".join(
                f"{{{program.arena.tensor_offsets[name]}, sizeof layer{index}, layer{index}}}"
                for index, name in enumerate(outputs)
            ),
        )
    )
    wrong = count_cycles(_linked([*sources, folder / "check.c"], device, folder), device, "check")
    return program.title(graph.operators[wrong.result - 1]) if wrong.result else None


def _numbers_of(values: np.ndarray) -> str:
    return ", ".join(map(str, values.reshape(-1).tolist()))


def _linked(sources: list[Path], device: Device, folder: Path) -> Path:
    compiler = find_compiler(device.core)
    firmware = resource_folder("firmware")
    flash = next(region for region in device.memory if region.kind == "flash")
    command = [
        *compiler.command,
        *compiler.compile_flags,
        "-Werror",
        "-nostdlib",
        f"-Wl,-Ttext={flash.address:#x},-Tbss={device.region_for('arena').address:#x}",
        "-Wl,--entry=check",
        f"-I{firmware / 'runtime'}",
        f"-I{firmware / 'ports/cortex_m'}",
        *map(str, sources),
        *(str(firmware / path) for path in LIBRARY),
        "-o",
        str(folder / "check.elf"),
    ]
    run_tool(command, folder, compiler.environment)
    return folder / "check.elf"


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(most_steps=6, channel_step=2))
def test_random_networks_compute_the_reference_byte_for_byte(
    graph: Graph, device: Device, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / f"special{next(_numbers)}"
    assert first_wrong_layer(compile_graph(graph, device), device, folder) is None


def skeletons() -> Iterator[Skeleton]:
    for resolution, channels in ((7, 4), (8, 6), (10, 8), (13, 4)):
        yield Skeleton(stem_channels=channels, cells_per_stage=1, resolution=resolution)


@pytest.mark.parametrize("skeleton", list(skeletons()), ids=str)
def test_networks_of_the_space_compute_the_reference(
    skeleton: Skeleton, device: Device, tmp_path: Path
) -> None:
    graph = architecture_graph(Architecture(cell=CELL, skeleton=skeleton))
    program = compile_graph(with_random_weights(graph, seed=1), device)
    variants = [kernel.variant for kernel in program.kernels.values()]
    assert sum(v.startswith("armv7e-m") for v in variants) > 0.8 * len(variants)
    assert first_wrong_layer(program, device, tmp_path) is None


FAR_APART = {
    "2,052 inputs": (Convolution(Window(1, 1), 4), (1, 1, 2052)),
    "3,001 inputs": (Convolution(Window(1, 1), 2), (1, 1, 3001)),
    "4,400 inputs": (Convolution(Window(1, 1), 8), (1, 1, 4400)),
    "an image of 2,304 values": (Convolution(Window(4, 4), 8), (4, 4, 144)),
    "pixels of 4,100 bytes": (Convolution(Window(1, 1), 4), (1, 5, 2050)),
    "pixels of 4,100 bytes in windows": (Convolution(Window(1, 2), 2), (2, 4, 2050)),
    "depthwise pixels of 4,100 bytes": (
        Convolution(Window(1, 3), 4100, groups=4100),
        (1, 5, 4100),
    ),
}


@pytest.mark.parametrize("board", ["stm32f407g-disc1", "nucleo-h743zi2"])
@pytest.mark.parametrize("layer", list(FAR_APART))
def test_operands_beyond_the_reach_of_one_instruction_compute_the_reference(
    layer: str, board: str, tmp_path: Path
) -> None:
    attributes, shape = FAR_APART[layer]
    graph = with_random_weights(single_layer(attributes, shape), seed=1)
    assert wrong_kernels(graph, find_device(board), tmp_path) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 3)])
def test_depthwise_layers_that_amplify_compute_the_reference_on_a_dual_issue_core(
    size: tuple[int, int], tmp_path: Path
) -> None:
    layer = single_layer(Convolution(Window(*size), 8, groups=8), (4, 8, 8))
    graph = with_random_weights(layer, seed=1)
    (operator,) = graph.operators
    assert isinstance(operator.attributes, Convolution)
    amplified = replace(operator.attributes, weight_scales=np.full(8, 1.5))
    graph = replace(graph, operators=(replace(operator, attributes=amplified),))
    assert wrong_kernels(graph, find_device("nucleo-h743zi2"), tmp_path) == []


def single_layer(attributes: Attributes, shape: Shape) -> Graph:
    chain = LayerChain(shape)
    chain.append(attributes)
    return chain.graph()


def wrong_kernels(graph: Graph, device: Device, folder: Path) -> list[str]:
    """Of all kernels that can carry out the only layer, those whose results differ."""
    (operator,) = graph.operators
    wrong = []
    for number, kernel in enumerate(candidates(operator, graph, device)):
        program = compile_graph(
            graph, device, choose=lambda o, g, d, n=number: candidates(o, g, d)[n]
        )
        if first_wrong_layer(program, device, folder / str(number)) is not None:
            wrong.append(kernel.variant)
    return wrong


def test_a_wrong_result_is_found(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The harness itself: one wrong byte of what is expected is a wrong layer."""
    skeleton = Skeleton(stem_channels=4, cells_per_stage=1, resolution=8)
    graph = architecture_graph(Architecture(cell=CELL, skeleton=skeleton))
    program = compile_graph(with_random_weights(graph, seed=1), device)

    correct = run_all_tensors

    def with_one_wrong_byte(graph: Graph, inputs: np.ndarray) -> dict[str, np.ndarray]:
        values = correct(graph, inputs)
        values[graph.output].reshape(-1)[-1] ^= 1
        return values

    monkeypatch.setitem(globals(), "run_all_tensors", with_one_wrong_byte)
    assert first_wrong_layer(program, device, tmp_path) == "fully connected"
