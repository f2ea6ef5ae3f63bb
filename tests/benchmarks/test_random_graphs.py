"""The benchmark of random graphs: what it draws, and that it finds what differs."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from automcu.compiler import compile_graph, ops
from automcu.compiler.ops import Rearrange
from automcu.mcu import Device, find_device
from automcu.toolchains.compiler import run_tool
from benchmarks.graph_generator import random_copies, random_graph
from benchmarks.random_graphs import KINDS, Way, differing_graphs, without_guard

DEVICE: Device = find_device("stm32f407g-disc1")
ARM = "arm-none-eabi-gcc"
FAULTY_VERSION = "12.2.1"
SOME_COPIES = range(18, 38)

needs_gcc = pytest.mark.skipif(not shutil.which(ARM), reason=f"{ARM} is not installed")


def test_every_operator_is_drawn() -> None:
    drawn = {
        type(operator.attributes) for seed in range(60) for operator in random_graph(seed).operators
    }
    assert {kind.__name__ for kind in drawn} == set(ops.__all__)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_give_equal_graphs(kind: str) -> None:
    first, second = (KINDS[kind](7) for _ in range(2))
    assert first.tensors == second.tensors
    image = np.zeros((1, *first.tensors[first.input].shape), np.int8)
    results = [compile_graph(graph, DEVICE).run(image) for graph in (first, second)]
    assert np.array_equal(*results)


def test_a_graph_of_copies_ends_with_one_that_is_no_plain_block() -> None:
    last = {type(random_copies(seed).operators[-1].attributes) for seed in range(100)}
    assert last == {Rearrange}


def test_only_the_guard_is_taken_out_of_a_source() -> None:
    source = "#define GRAPH1_WRITES_MEMORY __asm__ volatile()\n#define GRAPH1_KERNEL static\n"
    emptied = "#define GRAPH1_WRITES_MEMORY (void)0\n#define GRAPH1_KERNEL static\n"
    assert without_guard(source) == emptied


@needs_gcc
def test_copies_are_kept_by_the_guard_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AUTOMCU_COMPILER", "gcc")
    version = run_tool([ARM, "-dumpfullversion"], tmp_path).strip()
    assert differing_graphs("copies", Way("portable", "gcc", ("-O2",)), SOME_COPIES) == []
    if version != FAULTY_VERSION:
        pytest.skip(f"{ARM} {version} may be without the fault of {FAULTY_VERSION}")
    unguarded = Way("portable", "gcc", ("-O2",), guarded=False)
    assert len(differing_graphs("copies", unguarded, SOME_COPIES)) >= 3


@needs_gcc
@pytest.mark.parametrize("kernels", ["dsp", "portable"])
def test_networks_are_right_with_link_time_optimisation(
    kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which makes calls of memset where no source has one."""
    monkeypatch.setenv("AUTOMCU_COMPILER", "gcc")
    assert differing_graphs("all", Way(kernels, "gcc", ("-O2", "-flto")), range(10)) == []
