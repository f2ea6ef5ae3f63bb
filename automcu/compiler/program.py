"""The compiled program: operators in order, a kernel for each, and where every tensor lives."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.arena import Arena, plan_arena
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernels import Kernel, choose_kernel
from automcu.compiler.passes import optimise
from automcu.compiler.reference import run_reference
from automcu.compiler.schedule import schedule
from automcu.compiler.shapes import operator_macs, operator_title
from automcu.devices.profile import Device


@dataclass(frozen=True)
class Program:
    """`graph.operators` are in execution order; `kernels` are by operator name."""

    graph: Graph
    kernels: Mapping[str, Kernel]
    arena: Arena

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(operator_macs(operator, self.graph) for operator in self.graph.operators)

    @property
    def weight_bytes(self) -> int:
        """Flash that the constant arrays take."""
        return sum(self.kernels[op.name].weight_bytes for op in self.graph.operators)

    def title(self, operator: Operator) -> str:
        """What a person calls the operator."""
        return operator_title(operator, self.graph)

    def run(self, inputs: NDArray[np.int8]) -> NDArray[np.int8]:
        """The integer reference: outputs int8 [n, features] for inputs int8 [n, h, w, c]."""
        return run_reference(self.graph, inputs)


def compile_graph(graph: Graph, device: Device) -> Program:
    """Optimise, choose kernels for the device's core, order the operators, plan the arena.

    The graph needs no weights: a network can be costed before it is trained.
    """
    graph = optimise(graph)
    kernels = {
        operator.name: choose_kernel(operator, graph, device) for operator in graph.operators
    }
    graph = graph.with_operators(schedule(graph, kernels))
    return Program(graph, kernels, plan_arena(graph, graph.operators, kernels))
