"""The compiled program: operators in order, a kernel for each, and where every tensor lives."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.arena import Arena
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel
from automcu.compiler.reference import run_reference
from automcu.compiler.shapes import operator_macs, operator_title
from automcu.mcu.profile import Core


@dataclass(frozen=True)
class Program:
    """`graph.operators` are in execution order; `kernels` are by operator name.

    Without a `core` the code is for any machine, a PC among them.
    """

    graph: Graph
    kernels: Mapping[str, Kernel]
    arena: Arena
    core: Core | None

    @property
    def functions(self) -> tuple[Kernel, ...]:
        """One kernel for each C function, those that others call before them.

        Layers of equal shape share one.
        """
        kernels = [self.kernels[operator.name] for operator in self.graph.operators]
        return tuple(
            {part.function: part for kernel in kernels for part in kernel.with_parts}.values()
        )

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
