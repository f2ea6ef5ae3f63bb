"""Growing a graph while a model file is read, in the file's own tensor names."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Graph, Operator, Quantisation, Shape, Tensor
from automcu.compiler.operators import Attributes, Rescale
from automcu.compiler.shapes import output_shape
from automcu.errors import UnsupportedModelError

MOST_ELEMENTS = 1 << 26  # of one tensor: a bound on what a hostile file can make us allocate


@dataclass(frozen=True)
class Constant:
    """An array of the file; integers with `scales` and `axis` where it was quantised."""

    values: NDArray[np.generic]
    scales: NDArray[np.float64] | None = None
    axis: int = 0

    def real(self) -> NDArray[np.float64]:
        """The real values."""
        values = self.values.astype(np.float64)
        if self.scales is None:
            return values
        if self.scales.size == 1:
            return values * self.scales.reshape(())
        shape = [1] * values.ndim
        shape[self.axis] = -1
        return values * self.scales.reshape(shape)


@dataclass
class GraphBuilder:
    """Tensors and operators read so far; `aliases` maps the file's names to ours."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    flattened: set[str] = field(default_factory=set)
    input: str | None = None

    def tensor(self, name: str, layer: str) -> Tensor:
        """The activation that the file calls `name`.

        Raises:
            UnsupportedModelError: nothing has computed it.
        """
        if name not in self.aliases:
            raise UnsupportedModelError(
                f"layer {layer} reads {name!r}, which no supported layer computes. "
                "Export the model again with a batch size of 1 and static shapes."
            )
        return self.tensors[self.aliases[name]]

    def constant(self, name: str, layer: str) -> Constant:
        """The constant that the file calls `name`."""
        if name not in self.constants:
            raise UnsupportedModelError(
                f"layer {layer} needs {name!r} as a constant, but it is computed. "
                "Export the model with its weights stored in the file."
            )
        return self.constants[name]

    def add_input(self, name: str, shape: Shape, quantisation: Quantisation | None) -> None:
        """Declare the network's input."""
        self.input = name
        self._store(Tensor(name, _checked(shape, name), quantisation))
        self.aliases[name] = name

    def add(self, layer: str, inputs: tuple[str, ...], output: str, attributes: Attributes) -> None:
        """Append an operator; its output is not quantised until `quantise` says so."""
        sources = tuple(self.tensor(name, layer).name for name in inputs)
        shape = output_shape(attributes, self.tensors[sources[0]].shape)
        self._store(Tensor(output, _checked(shape, layer), None))
        self.aliases[output] = output
        self.operators.append(Operator(self._unique(layer), sources, output, attributes))

    def quantise(self, source: str, output: str, quantisation: Quantisation) -> None:
        """State that `source` is quantised, or requantise it where it already is, differently."""
        tensor = self.tensor(source, output)
        if tensor.quantisation is None:
            self.tensors[tensor.name] = replace(tensor, quantisation=quantisation)
            self.aliases[output] = tensor.name
        elif tensor.quantisation == quantisation:
            self.aliases[output] = tensor.name
        else:
            self.add(f"requantise_{output}", (source,), output, Rescale())
            self.tensors[output] = replace(self.tensors[output], quantisation=quantisation)
            if tensor.name in self.flattened:
                self.flattened.add(output)

    def alias(self, source: str, output: str) -> None:
        """Give a tensor or constant a second name."""
        if source in self.constants:
            self.constants[output] = self.constants[source]
        else:
            self.aliases[output] = self.tensor(source, output).name

    def graph(self, output: str) -> Graph:
        """The finished graph, pruned to what reaches `output`."""
        if self.input is None:
            raise UnsupportedModelError("the model has no input. Export it again.")
        result = self.tensor(output, "output")
        if result.name == self.input:
            raise UnsupportedModelError("the model computes nothing. Export it again.")
        return Graph(dict(self.tensors), tuple(self.operators), self.input, result.name)

    def _store(self, tensor: Tensor) -> None:
        self.tensors[tensor.name] = tensor

    def _unique(self, layer: str) -> str:
        name = "".join(c if c.isalnum() else "_" for c in layer).strip("_") or "layer"
        taken = {operator.name for operator in self.operators}
        if name not in taken:
            return name
        return next(f"{name}_{n}" for n in range(2, len(taken) + 3) if f"{name}_{n}" not in taken)


def _checked(shape: Shape, layer: str) -> Shape:
    if min(shape) < 1:
        raise UnsupportedModelError(
            f"layer {layer} has an output of {'x'.join(map(str, shape))}: its window is larger "
            "than its input. Use a larger input resolution."
        )
    if math.prod(shape) > MOST_ELEMENTS:
        raise UnsupportedModelError(
            f"layer {layer} has an output of {'x'.join(map(str, shape))} values, more than any "
            "microcontroller holds. Use a smaller input."
        )
    return shape


def checked_quantisation(scale: float, zero_point: int, name: str) -> Quantisation:
    """A quantisation whose scale is finite and positive and whose zero point is an int8."""
    if not (math.isfinite(scale) and scale > 0) or not -128 <= zero_point <= 127:
        raise UnsupportedModelError(
            f"{name} is quantised with scale {scale} and zero point {zero_point}, "
            "which is not int8. Quantise the model again."
        )
    return Quantisation(scale, zero_point)
