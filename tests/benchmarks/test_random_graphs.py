"""The benchmark of random graphs: what it draws, and that it finds what differs."""

import numpy as np

from automcu.compiler import compile_graph
from automcu.compiler.ops import Stripes
from automcu.compiler.ops.table import DEFINITIONS
from automcu.mcu import Device, find_device
from benchmarks.graph_generator import random_graph

DEVICE: Device = find_device("stm32f407g-disc1")


def test_every_operator_is_drawn() -> None:
    drawn = {
        type(operator.attributes) for seed in range(60) for operator in random_graph(seed).operators
    }
    assert drawn == set(DEFINITIONS) - {Stripes}  # which the arena's limit makes of others


def test_equal_seeds_give_equal_graphs() -> None:
    first, second = (random_graph(7) for _ in range(2))
    assert first.tensors == second.tensors
    image = np.zeros((1, *first.tensors[first.input].shape), np.int8)
    results = [compile_graph(graph, DEVICE).run(image) for graph in (first, second)]
    assert np.array_equal(*results)
