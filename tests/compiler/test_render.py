"""The generated C: the same every time, as large as promised, and without a warning anywhere."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from hypothesis import HealthCheck, given, settings

from automcu.calibration.networks import with_random_weights
from automcu.compiler import Graph, Program, compile_graph, model_hash, render_model
from automcu.compiler.ops import Convolution
from automcu.mcu import Device
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.toolchains import host_compiler
from automcu.toolchains.compiler import HostCompiler, zig_command, zig_environment
from tests.compiler.compiled_model import write_sources
from tests.compiler.random_graphs import graphs

CELL = (
    "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+"
    "|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
)
ARCHITECTURE = Architecture(
    cell=CELL, skeleton=Skeleton(stem_channels=4, cells_per_stage=1, resolution=9)
)
STRICT = ("-c", "-Werror", "-Wpedantic")


@pytest.fixture(scope="module")
def program(portable_device: Device) -> Program:
    graph = with_random_weights(architecture_graph(ARCHITECTURE), seed=0)
    return compile_graph(graph, portable_device)


COMPILERS = [
    *(HostCompiler(command=(n,), environment={}) for n in ("gcc", "clang") if shutil.which(n)),
    HostCompiler(command=zig_command(), environment=zig_environment()),
]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs())
def test_one_graph_gives_the_same_bytes_every_time(graph: Graph, portable_device: Device) -> None:
    first, second = (render_model(compile_graph(graph, portable_device)) for _ in range(2))
    assert first == second


def test_the_header_holds_the_hash_of_all_other_files(program: Program) -> None:
    files = render_model(program)
    found = re.search(r"#define MODEL_HASH \{(.*)\}", files["model.h"])
    assert found is not None
    digits = re.findall(r"0x([0-9a-f]{2})", found.group(1))
    assert "".join(digits) == model_hash(files)
    assert len(model_hash(files)) == 16


def test_any_weight_changes_the_hash(program: Program) -> None:
    *others, last = program.graph.operators
    assert isinstance(last.attributes, Convolution)
    assert last.attributes.weights is not None
    weights = last.attributes.weights.copy()
    weights.reshape(-1)[-1] ^= 1
    changed = replace(last, attributes=replace(last.attributes, weights=weights))
    graph = program.graph.with_operators((*others, changed))
    other = replace(program, graph=graph)
    assert model_hash(render_model(other)) != model_hash(render_model(program))


def test_the_header_says_what_an_application_needs(program: Program) -> None:
    header = render_model(program)["model.h"]
    constants = dict(re.findall(r"#define MODEL_(\w+) (\d+)u", header))
    source = program.graph.tensors[program.graph.input]
    assert constants == {
        "INPUT_HEIGHT": "9",
        "INPUT_WIDTH": "9",
        "INPUT_CHANNELS": "3",
        "INPUT_BYTES": str(source.size),
        "OUTPUT_HEIGHT": "1",
        "OUTPUT_WIDTH": "1",
        "OUTPUT_CHANNELS": "10",
        "OUTPUT_BYTES": "10",
        "ARENA_BYTES": str(program.arena.size),
        "LAYER_COUNT": str(len(program.graph.operators)),
    }
    assert source.quantisation is not None
    assert f"#define MODEL_INPUT_ZERO_POINT ({source.quantisation.zero_point})" in header
    written = re.search(r"#define MODEL_INPUT_SCALE (\S+)", header)
    assert written is not None
    assert np.float32(written.group(1)) == np.float32(source.quantisation.scale)


@pytest.mark.parametrize("compiler", COMPILERS, ids=lambda compiler: compiler.command[-1])
def test_no_compiler_has_a_warning_at_any_optimisation(
    compiler: HostCompiler, program: Program, tmp_path: Path
) -> None:
    sources = write_sources(program, tmp_path)
    for level in ("-O0", "-O2", "-Os"):
        for source in sources:
            made = compiler.program([source], tmp_path / "object.o", flags=(*STRICT, level))
            assert made.stat().st_size > 0


def test_arena_and_weights_take_the_bytes_that_were_promised(
    program: Program, tmp_path: Path
) -> None:
    sizes = symbol_sizes(program, tmp_path)
    arrays = {name: size for name, size in sizes.items() if re.fullmatch(r"layer_\d+_\w+", name)}
    assert sum(arrays.values()) == program.weight_bytes
    assert sizes["model_arena"] == program.arena.size


def test_of_the_c_library_a_model_needs_memcpy_and_memset_alone(
    program: Program, tmp_path: Path
) -> None:
    symbol_sizes(program, tmp_path)
    with (tmp_path / "model.so").open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".dynsym")
        assert isinstance(symbols, SymbolTableSection)
        undefined = {s.name for s in symbols.iter_symbols() if s["st_shndx"] == "SHN_UNDEF"}
    assert {name for name in undefined if name and name[0] != "_"} <= {"memcpy", "memset"}


def symbol_sizes(program: Program, folder: Path) -> dict[str, int]:
    library = host_compiler().shared_library(write_sources(program, folder), folder / "model.so")
    with library.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        return {symbol.name: symbol["st_size"] for symbol in symbols.iter_symbols()}
