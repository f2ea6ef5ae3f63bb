"""A compiler that takes a kernel for a function without effect leaves its calls out.

GCC 12 does where one array is read and written at different strides: `rearrange` and `halve` below
are such loops, of two pointers that are constants in the end, and of a single pointer.
"""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import automcu.compiler
from automcu.compiler import Graph, Operator, Program, Quantisation, Tensor, compile_graph
from automcu.compiler import render_model as rendered
from automcu.compiler.ops import AveragePool, Convolution, Rearrange
from automcu.compiler.tensor import Window
from automcu.mcu import find_device
from automcu.toolchains.compiler import run_tool
from benchmarks.network_check import Network, differing_on_board

ARM = "arm-none-eabi-gcc"
DEVICE = find_device("stm32f407g-disc1")
LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os", "-Ofast")
SCALE = Quantisation(0.5, 3)
FAULTY_VERSION = "12.2.1"

LOOPS = """\
#include <stdint.h>
#define MODEL_WRITES_MEMORY {statement}
static int8_t arena[24];
int8_t *everywhere(void);
void run(void);
void run_twice(int8_t *start);
int8_t *everywhere(void) {{ return arena; }}

__attribute__((noinline)) static void rearrange(const int8_t *input, int8_t *output)
{{
    MODEL_WRITES_MEMORY;
    for (int32_t i0 = 0; i0 < 2; i0++) {{
        for (int32_t i1 = 0; i1 < 6; i1++) {{
            *output++ = input[i0 + i1 * 2];
        }}
    }}
}}

__attribute__((noinline)) static void halve(int8_t *start)
{{
    MODEL_WRITES_MEMORY;
    int8_t *output = &start[13];
    for (int32_t index = 0; index < 7; index++) {{
        *output++ = start[index * 2];
    }}
}}

void run(void) {{ rearrange(&arena[0], &arena[12]); }}
void run_twice(int8_t *start) {{ halve(start); }}
"""

# Templates write a function's return type and name at the beginning of a line.
WRITER = re.compile(r"MODEL_KERNEL |(__attribute__\(.*\) )?static (void|int16_t \*)")

needs_gcc = pytest.mark.skipif(not shutil.which(ARM), reason=f"{ARM} is not installed")


def calls(folder: Path, statement: str, level: str) -> set[str]:
    """Which of the two functions are called in the assembly that GCC makes."""
    (folder / "loops.c").write_text(LOOPS.format(statement=statement))
    machine = ("-mcpu=cortex-m4", "-mthumb", level, "-fno-inline", "-S")
    run_tool([ARM, *machine, "loops.c", "-o", "loops.s"], folder)
    return set(re.findall(r"\bbl?\s+(rearrange|halve)", (folder / "loops.s").read_text()))


@needs_gcc
def test_gcc_12_leaves_out_the_calls_of_bare_loops(tmp_path: Path) -> None:
    version = run_tool([ARM, "-dumpfullversion"], tmp_path).strip()
    if version != FAULTY_VERSION:
        pytest.skip(f"{ARM} {version} may be without the fault of {FAULTY_VERSION}")
    assert "rearrange" not in calls(tmp_path, "(void)0", "-O2")
    assert any("halve" not in calls(tmp_path, "(void)0", level) for level in LEVELS)


@needs_gcc
@pytest.mark.parametrize("level", LEVELS)
def test_what_kernels_begin_with_keeps_the_calls(level: str, tmp_path: Path) -> None:
    statement = re.search(
        r"^#define MODEL_WRITES_MEMORY (.*)$", rendered(transpose())["model.c"], re.M
    )
    assert statement is not None
    assert calls(tmp_path, statement.group(1), level) == {"rearrange", "halve"}


def program(
    *operators: Operator, image: tuple[int, int, int], last: tuple[int, int, int]
) -> Program:
    """Operators one after the other; all but the last keep the image's shape."""
    names = [operator.output for operator in operators]
    shapes = {"image": image, **dict.fromkeys(names[:-1], image), names[-1]: last}
    tensors = {name: Tensor(name, shape, SCALE) for name, shape in shapes.items()}
    return compile_graph(Graph(tensors, operators, "image", names[-1]), DEVICE)


def transpose() -> Program:
    """The layer that was left out: 2x6 values of 6x2."""
    rearrange = Rearrange("transpose", (2, 6, 1), ((2, 1), (6, 2)))
    return program(Operator("t", ("image",), "out", rearrange), image=(6, 2, 1), last=(2, 6, 1))


def one_channel() -> Program:
    rearrange = Rearrange("slice", (6, 5, 1), ((30, 4),), 1)
    return program(Operator("s", ("image",), "out", rearrange), image=(6, 5, 4), last=(6, 5, 1))


def dropped_pool() -> Program:
    """A pool of one pixel does nothing: what is left is the transpose behind it."""
    rearrange = Rearrange("transpose", (5, 4, 3), ((5, 3), (4, 15), (3, 1)))
    return program(
        Operator("pool", ("image",), "pooled", AveragePool(Window(1, 1))),
        Operator("t", ("pooled",), "out", rearrange),
        image=(4, 5, 3),
        last=(5, 4, 3),
    )


def convolution_and_flatten() -> Program:
    """Channels-first, as models from PyTorch flatten."""
    generator = np.random.default_rng(0)
    layer = Convolution(
        Window(1, 1),
        3,
        weights=generator.integers(-128, 128, (3, 1, 1, 3), dtype=np.int8),
        weight_scales=np.full(3, 1 / 64),
        bias=generator.integers(-999, 999, 3, dtype=np.int32),
    )
    flatten = Rearrange("flatten", (1, 1, 48), ((3, 1), (16, 3)))
    return program(
        Operator("conv", ("image",), "features", layer),
        Operator("f", ("features",), "out", flatten),
        image=(4, 4, 3),
        last=(1, 1, 48),
    )


@pytest.mark.parametrize("level", ("-O1", "-O2", "-O3", "-Os"))
def test_layers_that_were_left_out_are_run_at_every_level(level: str, tmp_path: Path) -> None:
    networks = []
    for make in (transpose, one_channel, dropped_pool, convolution_and_flatten):
        made = make()
        shape = made.graph.tensors["image"].shape
        inputs = np.random.default_rng(1).integers(-128, 128, (2, *shape), dtype=np.int8)
        networks.append(Network(make.__name__, made, inputs, made.run(inputs)))
    assert differing_on_board(networks, DEVICE, tmp_path, flags=(level,)) == []


def test_every_kernel_that_writes_memory_says_so_first() -> None:
    """Inlined functions have the statement from those that they are in, naked ones are assembly."""
    folder = Path(automcu.compiler.__file__).parent
    silent, found = [], 0
    for template in sorted([*folder.rglob("*.j2"), *folder.rglob("*.h")]):
        lines = template.read_text().splitlines()
        for number, line in enumerate(lines):
            if WRITER.match(line) and "naked" not in line:
                body = lines.index("{", number) + 1
                silent += [line] if lines[body].strip() != "MODEL_WRITES_MEMORY;" else []
                found += 1
    assert silent == []
    assert found > 30
