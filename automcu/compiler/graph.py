"""The intermediate representation: quantised tensors and the operators between them.

Tensors are channels-last without a batch dimension: (height, width, channels). A vector of n
features is (1, 1, n), so that a fully connected layer is a 1x1 convolution of one pixel.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.ops import Attributes
from automcu.compiler.tensor import Quantisation, Shape, Tensor

__all__ = ["FileLayout", "Graph", "Operator", "Quantisation", "Shape", "Tensor"]


@dataclass(frozen=True)
class Operator:
    """One operator; `attributes` says what it computes and holds its weights."""

    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Attributes


@dataclass(frozen=True)
class FileLayout:
    """How a model file lays out one of our tensors: its shape there, batch included.

    `order` are the file's axes as our values run through them, the innermost last.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]

    def to_memory(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Values [n, ...] in the file's order as [n, values] in ours."""
        count = len(values)
        inner = values.reshape(count, *self.shape)
        return inner.transpose(0, *(axis + 1 for axis in self.order)).reshape(count, -1)


@dataclass(frozen=True)
class Graph:
    """Operators in an order in which every input is computed before it is used.

    The layouts are those of the file that it was read from, None where there was none.
    """

    tensors: dict[str, Tensor]
    operators: tuple[Operator, ...]
    input: str
    output: str
    input_layout: FileLayout | None = None
    output_layout: FileLayout | None = None

    def consumers(self, tensor: str) -> tuple[Operator, ...]:
        """Operators that read `tensor`."""
        return tuple(op for op in self.operators if tensor in op.inputs)

    def producer(self, tensor: str) -> Operator | None:
        """The operator that writes `tensor`; None for the graph's input."""
        return next((op for op in self.operators if op.output == tensor), None)

    def with_operators(self, operators: Iterable[Operator]) -> "Graph":
        """Return the graph with these operators and only the tensors that they touch."""
        kept = tuple(operators)
        names = {self.input, self.output}
        for operator in kept:
            names.update(operator.inputs, (operator.output,))
        return replace(
            self,
            operators=kept,
            tensors={name: tensor for name, tensor in self.tensors.items() if name in names},
        )
