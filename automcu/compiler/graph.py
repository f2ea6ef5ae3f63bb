"""The intermediate representation: quantised tensors and the operators between them.

Tensors are channels-last without a batch dimension: (height, width, channels). A vector of n
features is (1, 1, n), so that a fully connected layer is a 1x1 convolution of one pixel.

What an operator computes is known to its attributes alone: a new operator is a subclass of
`Attributes`, wherever that is defined.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.kernel import Kernel
from automcu.compiler.tensor import Clamp, Quantisation, Shape, Tensor, Values, Window
from automcu.errors import UnsupportedModelError

__all__ = ["Attributes", "FileLayout", "Graph", "Operator", "Quantisation", "Shape", "Tensor"]


class Attributes(ABC):
    """What an operator computes: its attributes and weights, and all that follows from them.

    Subclasses are frozen dataclasses. Weights are None in a graph that is only costed.
    """

    is_elementwise: ClassVar[bool] = False
    """Whether each value of the result is a function of the inputs' values at its place alone."""

    keeps_quantisation: ClassVar[bool] = False
    """Whether the result has the scale of the inputs, as it only passes values on."""

    @abstractmethod
    def title(self, source: Shape) -> str:
        """What a person calls the operator, given the shape of its first input."""

    def output_shape(self, *sources: Shape) -> Shape:
        """Shape of the result for inputs of these shapes: that of the first, where not overridden.

        Raises:
            ValueError: the shapes do not go together.
        """
        return sources[0]

    def macs(self, source: Shape, result: Shape) -> int:
        """Multiply-accumulates of one inference, for the first input's shape and the result's."""
        return 0

    def usual_quantisation(self, source: Quantisation | None) -> Quantisation | None:
        """The scale of a result that a model file leaves in floating point; None where it may not.

        `source` is that of the input.
        """
        return None

    def with_random_weights(
        self, source: Shape, result: Shape, scale: float, generator: np.random.Generator
    ) -> "Attributes":
        """The operator with random weights, for measuring what does not depend on what they are.

        `scale` is that of activations. Operators without weights stay as they are.
        """
        return self

    @abstractmethod
    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> Any:
        """The integers that kernels and reference compute with, from the real scales.

        Raises:
            UnsupportedModelError: an accumulator could overflow, or scales cannot be represented.
        """

    @abstractmethod
    def reference(self, inputs: tuple[Values, ...], integers: Any) -> Values:
        """The result for int8 inputs [n, height, width, channels], as every kernel computes it."""

    @abstractmethod
    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        """The kernel in C99 that any core can run."""

    def chosen_kernel(
        self, operator: "Operator", graph: "Graph", choose: "Callable[[Operator, Graph], Kernel]"
    ) -> Kernel:
        """The kernel that `choose` takes; an operator made of others has it take theirs."""
        return choose(operator, graph)

    def with_clamp(self, clamp: Clamp) -> "Attributes | None":
        """The operator with a clamp behind it; None where it takes none."""
        return None

    def without_idle_clamp(self, result: Quantisation) -> "Attributes":
        """The operator without a clamp that int8 makes by itself in a result of this scale."""
        return self

    def with_border(
        self, before: Shape, after: Shape, value: int, source: Quantisation
    ) -> "Attributes | None":
        """The operator that pads its input itself; None where it cannot pad so.

        The padding is so many rows, columns and channels of `value`, of a tensor like `source`.
        """
        return None

    def with_sum(self, direct: Quantisation, clamp: Clamp) -> "Attributes | None":
        """The operator that adds a second input to its result; None where it cannot.

        `direct` is the quantisation that its own result had, `clamp` that of the sum.
        """
        return None

    @property
    def row_window(self) -> Window | None:
        """The window of rows under a row of the result; None where rows cannot be computed alone.

        Operators without a window that work pixel by pixel have a pointwise one.
        """
        return None

    def with_row_window(self, window: Window) -> "Attributes":
        """The operator with this window in place of its own, which differs in its padding."""
        return self


@dataclass(frozen=True)
class Operator:
    """One operator of a graph; `attributes` say what it computes and hold its weights."""

    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Attributes

    def sources(self, graph: "Graph") -> tuple[Tensor, ...]:
        """The tensors that it reads."""
        return tuple(graph.tensors[name] for name in self.inputs)

    def title(self, graph: "Graph") -> str:
        """What a person calls the operator: `conv 3x3`, `fully connected`, `add`, ..."""
        return self.attributes.title(graph.tensors[self.inputs[0]].shape)

    def macs(self, graph: "Graph") -> int:
        """Multiply-accumulates of one inference."""
        source, result = graph.tensors[self.inputs[0]], graph.tensors[self.output]
        return self.attributes.macs(source.shape, result.shape)

    def lower(self, graph: "Graph") -> Any:
        """The integers that kernels and reference compute with.

        Raises:
            UnsupportedModelError: an accumulator could overflow, or scales cannot be represented.
        """
        try:
            sources = tuple(_quantisation(tensor) for tensor in self.sources(graph))
            return self.attributes.lower(sources, _quantisation(graph.tensors[self.output]))
        except UnsupportedModelError as error:
            raise UnsupportedModelError(f"layer {self.name}: {error}") from error

    def kernel(self, graph: "Graph") -> Kernel:
        """The kernel in C99 that any core can run."""
        return self.attributes.kernel(self.sources(graph), graph.tensors[self.output])


def _quantisation(tensor: Tensor) -> Quantisation:
    if tensor.quantisation is None:
        raise UnsupportedModelError(
            f"tensor {tensor.name} is not quantised. Quantise the whole model to int8 (QDQ)."
        )
    return tensor.quantisation


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


def run_operator(operator: Operator, integers: Any, inputs: tuple[Values, ...]) -> Values:
    """One operator on int8 inputs [n, height, width, channels], by the integer reference."""
    return operator.attributes.reference(inputs, integers)


def run_all_tensors(graph: Graph, inputs: Values) -> dict[str, Values]:
    """Every tensor of the graph for inputs int8 [n, height, width, channels].

    It is what every kernel on every target must produce, byte for byte. Inputs of another shape
    are taken in the order of their bytes, as the C takes them.
    """
    values = {graph.input: inputs.reshape(len(inputs), *graph.tensors[graph.input].shape)}
    for operator in graph.operators:
        sources = tuple(values[name] for name in operator.inputs)
        values[operator.output] = run_operator(operator, operator.lower(graph), sources)
    return values


def run_reference(graph: Graph, inputs: Values, batch: int = 64) -> Values:
    """Outputs int8 [n, features] for inputs int8 [n, height, width, channels]."""
    outputs = [
        run_all_tensors(graph, inputs[first : first + batch])[graph.output]
        for first in range(0, len(inputs), batch)
    ]
    return np.concatenate(outputs).reshape(len(inputs), -1)
