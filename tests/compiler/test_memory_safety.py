"""Kernels under AddressSanitizer and UndefinedBehaviorSanitizer.

While a layer runs, all of the arena but its inputs, its output and its scratch area is poisoned, so
that a read or write of one byte elsewhere ends the program.
"""

import re
import subprocess
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automcu.compiler import (
    Graph,
    Operator,
    Program,
    Quantisation,
    Tensor,
    compile_graph,
    render_model,
)
from automcu.compiler.ops import Rescale
from automcu.errors import ToolError
from automcu.mcu import Device
from automcu.toolchains import host_compiler
from tests.compiler.random_graphs import graphs, tall_chains

# Variables in sections of their own get no guard bytes, so the model is built as on other systems.
SANITISED = ("-U__ELF__", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
NOT_ITS_BUSINESS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
_API = ("model_input", "model_output", "model_run", "model_run_layer", "model_arena")
_numbers = count()

DRIVER = """\
#include "model.c"
#include "model_weights.c"
#include <stdio.h>

void __asan_poison_memory_region(void const volatile *address, size_t size);
void __asan_unpoison_memory_region(void const volatile *address, size_t size);
void run_{number}(void);

typedef struct {{
    uint32_t layer;
    size_t offset;
    size_t size;
}} span;

static const span spans[] = {{
{spans}
}};

void run_{number}(void)
{{
    if (fread(model_input(), 1, MODEL_INPUT_BYTES, stdin) != MODEL_INPUT_BYTES) {{
        return;
    }}
    for (uint32_t layer = 0; layer < MODEL_LAYER_COUNT; layer++) {{
        __asan_poison_memory_region(model_arena, MODEL_ARENA_BYTES);
        for (size_t index = 0; index < sizeof spans / sizeof spans[0]; index++) {{
            if (spans[index].layer == layer) {{
                __asan_unpoison_memory_region(&model_arena[spans[index].offset], spans[index].size);
            }}
        }}
        model_run_layer(layer);
    }}
    __asan_unpoison_memory_region(model_arena, MODEL_ARENA_BYTES);
    fwrite(model_output(), 1, MODEL_OUTPUT_BYTES, stdout);
}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where programs go; skips where the compiler has no sanitizers."""
    folder = tmp_path_factory.mktemp("sanitised")
    trial = folder / "trial.c"
    trial.write_text("int main(void) { return 0; }\n")
    try:
        host_compiler().program([trial], folder / "trial", flags=SANITISED)
    except ToolError:
        pytest.skip("this machine's C compiler has no AddressSanitizer (GCC: install libasan)")
    return folder


@settings(max_examples=4, deadline=None, suppress_health_check=NOT_ITS_BUSINESS)
@given(
    batch=st.lists(graphs(), min_size=6, max_size=6),
    tiled=st.lists(tall_chains(), min_size=3, max_size=3),
)
def test_layers_touch_only_their_inputs_output_and_scratch(
    batch: list[Graph], tiled: list[Graph], portable_device: Device, folder: Path
) -> None:
    programs = [compile_graph(graph, portable_device) for graph in batch]
    programs += [compile_graph(graph, portable_device, 1) for graph in tiled]
    batch = batch + tiled
    noise = np.random.default_rng(0)
    images = [
        noise.integers(-128, 128, graph.tensors[graph.input].shape, dtype=np.int8)
        for graph in batch
    ]
    executable = build(programs, folder / f"batch{next(_numbers)}")
    given_bytes = b"".join(image.tobytes() for image in images)
    done = subprocess.run([executable], input=given_bytes, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    expected = [
        program.run(image[None]).tobytes() for program, image in zip(programs, images, strict=True)
    ]
    assert done.stdout == b"".join(expected)


def test_a_kernel_that_reads_past_its_input_is_caught(
    portable_device: Device, folder: Path
) -> None:
    """The harness itself: with spans that are a byte short, the first layer must fail."""
    tensors = {name: Tensor(name, (2, 2, 3), Quantisation(1.0, 0)) for name in ("image", "result")}
    operator = Operator("layer", ("image",), "result", Rescale())
    graph = Graph(tensors, (operator,), "image", "result")
    program = compile_graph(graph, portable_device)
    executable = build([program], folder / "caught", missing_bytes=1)
    image = bytes(graph.tensors[graph.input].size)
    done = subprocess.run([executable], input=image, capture_output=True, check=False)
    assert done.returncode != 0
    assert b"ERROR: AddressSanitizer" in done.stderr


def build(programs: list[Program], folder: Path, missing_bytes: int = 0) -> Path:
    """One executable for all programs: each compiled apart, its symbols numbered."""
    sources = []
    for number, program in enumerate(programs):
        home = folder / str(number)
        home.mkdir(parents=True)
        files = render_model(program)
        for name, text in files.items():
            (home / name).write_text(text)
        symbols = [*_API, *re.findall(r"^extern const \w+ (\w+)\[", files["model_weights.h"], re.M)]
        renamed = "".join(f"#define {symbol} {symbol}_of_{number}\n" for symbol in symbols)
        spans = ",\n".join(spans_of(program, missing_bytes))
        source = home / "driver.c"
        source.write_text(renamed + DRIVER.format(number=number, spans=spans))
        sources.append(source)
    main = folder / "main.c"
    calls = [f"run_{number}();" for number in range(len(programs))]
    main.write_text(
        "\n".join(f"void run_{number}(void);" for number in range(len(programs)))
        + "\nint main(void)\n{\n"
        + "\n".join(calls)
        + "\nreturn 0;\n}\n"
    )
    return host_compiler().program([main, *sources], folder / "program", flags=SANITISED)


def spans_of(program: Program, missing_bytes: int) -> list[str]:
    """What each layer may touch, as C initialisers."""
    arena, tensors = program.arena, program.graph.tensors

    def spans(operator: Operator) -> list[tuple[int, int]]:
        names = {*operator.inputs, operator.output}
        found = [(arena.tensor_offsets[n], tensors[n].size - missing_bytes) for n in sorted(names)]
        if operator.name in arena.scratch_offsets:
            scratch = program.kernels[operator.name].scratch_bytes
            found.append((arena.scratch_offsets[operator.name], scratch))
        return found

    return [
        f"{{{layer}, {offset}, {size}}}"
        for layer, operator in enumerate(program.graph.operators)
        for offset, size in spans(operator)
    ]
