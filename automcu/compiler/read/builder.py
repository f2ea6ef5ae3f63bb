"""Growing a graph while a model file is read, in the file's own tensor names."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Attributes, Graph, Operator, Quantisation, Shape, Tensor
from automcu.compiler.ops import Convolution, Lookup, Rescale
from automcu.compiler.ops.pointwise import quantised_table
from automcu.compiler.read.file_tensor import View, check_scales_of, checked_shape, positive_axis
from automcu.compiler.tensor import NO_CLAMP, Clamp, intersect
from automcu.errors import UnsupportedModelError, with_article

COMPUTES_NOTHING = (
    "the model computes nothing: it only passes its input on, or rearranges it. "
    "Give the file that holds the network's layers."
)
MOST_OPERATORS = 1000
MOST_WEIGHTS = 1 << 26
STEPS = 255  # between the least and the largest int8
WIDEST_STEP = 8.0  # of a function's result on its own range, in steps of its input


@dataclass(frozen=True, eq=False)
class RealFunction:
    """A real function of a quantised tensor, as its results for the 256 values that can occur.

    Between DequantizeLinear and QuantizeLinear a file computes in real numbers. Whatever it does
    there to one tensor, element by element, is such a function, and one table once it is
    quantised. `clamp` is set while the function does nothing but clamp, which needs no table.
    """

    name: str
    values: NDArray[np.float64]
    clamp: Clamp | None = None

    def clamped(self, clamp: Clamp, name: str) -> "RealFunction":
        """The function with its results clamped."""
        values = np.clip(self.values, *clamp)
        if self.clamp is None:
            return RealFunction(self.name, values)
        return RealFunction(name, values, intersect(self.clamp, clamp))


@dataclass(frozen=True)
class Activation:
    """The values of our `tensor` in the order of `view`, put through `function` if there is one.

    `layer` and `step` are the file's name and kind of what last changed the view: they name the
    copy, should one be needed.
    """

    tensor: str
    view: View
    function: RealFunction | None = None
    layer: str = ""
    step: str = "reshape"

    def viewed(self, view: View, layer: str, step: str) -> "Activation":
        """The same tensor in another view."""
        return replace(self, view=view, layer=layer, step=step)


@dataclass(frozen=True)
class Constant:
    """An array of the file; where it was quantised, integers less their zero point and `scales`.

    `scales` are float64, one for all or one for each index of `axis`.
    """

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

    def transposed(self, order: tuple[int, ...]) -> "Constant":
        """The array with its axes in another order."""
        axis = order.index(self.axis) if self.values.ndim else 0
        return replace(self, values=self.values.transpose(order), axis=axis)

    def reshaped(self, shape: tuple[int, ...]) -> "Constant":
        """The array with other axes.

        Raises:
            ValueError: its scales are along an axis that the new shape does not have.
        """
        values = self.values.reshape(shape)
        if self.scales is None or self.scales.size == 1:
            return replace(self, values=values)
        before = int(np.prod(self.values.shape[: self.axis]))
        length = self.values.shape[self.axis]
        for axis, size in enumerate(values.shape):
            if size == length and int(np.prod(values.shape[:axis])) == before:
                return replace(self, values=values, axis=axis)
        raise ValueError(f"scales along axis {self.axis} are lost in a reshape to {shape}")


def dequantised(
    values: NDArray[np.generic],
    scales: NDArray[np.float64],
    zero_points: NDArray[np.generic],
    axis: int,
    name: str,
) -> Constant:
    """A stored array of integers; scales and zero points are one, or one for each index of `axis`.

    Raises:
        ValueError: there are more or fewer of them.
        UnsupportedModelError: a scale of `name` means nothing.
    """
    if zero_points.size not in (1, scales.size):
        raise ValueError(f"{zero_points.size} zero points for {scales.size} scales")
    shape, axis = [1] * values.ndim, positive_axis(axis, values.ndim) if scales.size > 1 else 0
    if scales.size > 1:
        if values.shape[axis] != scales.size:
            raise ValueError(f"{scales.size} scales for {values.shape[axis]} channels")
        shape[axis] = -1
    points = zero_points.astype(np.int64).reshape(() if zero_points.size == 1 else shape)
    integers = values.astype(np.int64) - points
    check_scales_of(integers, scales, axis, name)
    return Constant(integers, scales, axis)


@dataclass
class GraphBuilder:
    """Tensors and operators read so far.

    `activations` and `constants` are by the file's names, `tensors` by ours. Messages call a name
    as `titles` does, and ask to "Export" or "Convert" (`verb`) the model again.
    """

    verb: str = "Export"
    titles: Mapping[str, str] = field(default_factory=dict)

    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    activations: dict[str, Activation] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    input: str | None = None
    _layers: set[str] = field(default_factory=set)
    _weights: int = 0

    def activation(self, name: str, layer: str) -> Activation:
        """What the file calls `name`.

        Raises:
            UnsupportedModelError: nothing has computed it, or it is a constant.
        """
        if name in self.constants:
            raise self.constant_refused(name, layer)
        if name not in self.activations:
            raise UnsupportedModelError(
                f"layer {layer} reads {self._title(name)!r}, which no supported layer computes. "
                f"{self.verb} the model again with a batch size of 1 and static shapes."
            )
        return self.activations[name]

    def constant_refused(self, name: str, layer: str) -> UnsupportedModelError:
        """What to raise for a constant where a layer needs what is computed."""
        return UnsupportedModelError(
            f"layer {layer} takes {self._title(name)!r}, a constant of the file, where only what "
            "is computed from the input can be compiled. Remove it, or make it part of a layer."
        )

    def constant(self, name: str, layer: str) -> Constant:
        """The constant that the file calls `name`."""
        if name not in self.constants:
            raise UnsupportedModelError(
                f"layer {layer} needs {self._title(name)!r} as a constant, but it is computed. "
                f"{self.verb} the model with static shapes and its weights stored in the file."
            )
        return self.constants[name]

    def quantisation(self, activation: Activation, layer: str) -> Quantisation:
        """The quantisation of an activation's tensor.

        Raises:
            UnsupportedModelError: it has none.
        """
        quantisation = self.tensors[activation.tensor].quantisation
        if quantisation is None or activation.function is not None:
            raise UnsupportedModelError(
                f"the input of layer {layer} is not quantised. Quantise the whole model to int8, "
                f"{layer} and the layers before it too."
            )
        return quantisation

    def add_input(
        self, name: str, shape: Shape, view: View, quantisation: Quantisation | None
    ) -> None:
        """Declare the network's input."""
        tensor = self._store(name, checked_shape(shape, name), quantisation)
        self.input = tensor
        self.activations[name] = Activation(tensor, view)

    def add(
        self,
        layer: str,
        sources: tuple[str, ...],
        attributes: Attributes,
        quantisation: Quantisation | None = None,
        output: str | None = None,
    ) -> str:
        """Append an operator on our tensors `sources`; returns the tensor that it writes.

        Without `quantisation` the result is quantised when `quantise` says so, or at once where
        the operator keeps that of its input.
        """
        if len(self.operators) >= MOST_OPERATORS:
            raise UnsupportedModelError(
                f"the model has more than {MOST_OPERATORS} layers. Use a smaller model."
            )
        if isinstance(attributes, Convolution) and attributes.weights is not None:
            self._weights += attributes.weights.size
            if self._weights > MOST_WEIGHTS:  # layers may share one array of the file
                raise UnsupportedModelError(
                    "the model has more weights than any microcontroller holds. "
                    "Use a smaller model."
                )
        shape = attributes.output_shape(*(self.tensors[name].shape for name in sources))
        if not isinstance(attributes, Rescale):  # which joins its producer and needs no scale there
            for name in sources:
                self._give_usual_quantisation(name)
        if quantisation is None and attributes.keeps_quantisation:
            quantisation = self.tensors[sources[0]].quantisation
        tensor = self._store(output or layer, checked_shape(shape, layer), quantisation)
        self.operators.append(Operator(self._unique_layer(layer), sources, tensor, attributes))
        return tensor

    def computed(self, activation: Activation, layer: str) -> Activation:
        """The activation with its pending function computed.

        A clamp becomes an operator. Another function whose result the file leaves in floating
        point becomes a table on the scale of its own range.

        Raises:
            UnsupportedModelError: that range is too wide for 8 bits.
        """
        function = activation.function
        if function is None:
            return activation
        name = f"{layer}_{function.name.replace(' ', '_')}"
        if function.clamp is None:
            return self.quantised(activation, self._range_of(activation, layer), name)
        tensor = self.add(name, (activation.tensor,), Rescale(function.clamp))
        return replace(activation, tensor=tensor, function=None)

    def _range_of(self, activation: Activation, layer: str) -> Quantisation:
        """The quantisation that just covers a function's results."""
        source = self.tensors[activation.tensor].quantisation
        assert activation.function is not None and source is not None
        values = activation.function.values
        low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
        scale = (high - low) / STEPS
        if not 0 < scale <= max(WIDEST_STEP * source.scale, 1 / STEPS):
            raise UnsupportedModelError(
                f"the input of layer {layer} comes from {with_article(activation.function.name)} "
                f"in floating point, from {low:.3g} to {high:.3g}. Quantise that result too."
            )
        return Quantisation(scale, round(-128 - low / scale))

    def quantised(
        self, activation: Activation, quantisation: Quantisation, layer: str
    ) -> Activation:
        """The activation on this scale: a table, a change of scale, or just a statement."""
        tensor = self.tensors[activation.tensor]
        function = activation.function
        if function is not None and function.clamp is None:
            lookup = Lookup(function.name, quantised_table(function.values, quantisation))
            name = self.add(layer, (tensor.name,), lookup, quantisation)
        elif function is not None or tensor.quantisation not in (None, quantisation):
            clamp = NO_CLAMP if function is None or function.clamp is None else function.clamp
            name = self.add(layer, (tensor.name,), Rescale(clamp), quantisation)
        else:
            self._set_quantisation(tensor.name, quantisation)
            name = tensor.name
        return replace(activation, tensor=name, function=None)

    def graph(self, output: Activation) -> Graph:
        """The finished graph."""
        self._give_usual_quantisation(output.tensor)
        if self.input is None:
            raise UnsupportedModelError(f"the model has no input. {self.verb} it again.")
        if output.tensor == self.input:
            raise UnsupportedModelError(COMPUTES_NOTHING)
        graph = Graph(dict(self.tensors), tuple(self.operators), self.input, output.tensor)
        _check_quantised(graph)
        return graph

    def _give_usual_quantisation(self, name: str) -> None:
        """Quantise a result that the file leaves in floating point, where its range is known."""
        producer = next((op for op in self.operators if op.output == name), None)
        if producer is None or self.tensors[name].quantisation is not None:
            return
        scale = producer.attributes.usual_quantisation(
            self.tensors[producer.inputs[0]].quantisation
        )
        if scale is not None:
            self._set_quantisation(name, scale)

    def _set_quantisation(self, name: str, quantisation: Quantisation) -> None:
        """Quantise a tensor, and those before it that only pass their values on."""
        waiting = [name]
        while waiting:
            tensor = self.tensors[waiting.pop()]
            if tensor.quantisation is not None:
                continue
            self.tensors[tensor.name] = replace(tensor, quantisation=quantisation)
            for operator in self.operators:
                if operator.output == tensor.name and operator.attributes.keeps_quantisation:
                    waiting.extend(operator.inputs)

    def _title(self, name: str) -> str:
        return self.titles.get(name, name)

    def _store(self, name: str, shape: Shape, quantisation: Quantisation | None) -> str:
        unique = name if name not in self.tensors else f"{name}#{len(self.tensors)}"
        self.tensors[unique] = Tensor(unique, shape, quantisation)
        return unique

    def _unique_layer(self, layer: str) -> str:
        name = "".join(c if c.isascii() and c.isalnum() else "_" for c in layer).strip("_")
        name = name or "layer"
        if name in self._layers:
            taken = self._layers
            name = next(
                f"{name}_{n}" for n in range(2, len(taken) + 3) if f"{name}_{n}" not in taken
            )
        self._layers.add(name)
        return name


def _check_quantised(graph: Graph) -> None:
    """Every tensor that is used needs a scale, but for those that a clamp behind them gives one."""
    needed = {graph.output}
    for operator in reversed(graph.operators):
        if operator.output not in needed:
            continue
        needed.update(operator.inputs)
        if graph.tensors[operator.output].quantisation is not None:
            continue
        readers = graph.consumers(operator.output)
        if len(readers) == 1 and isinstance(readers[0].attributes, Rescale):
            continue
        raise UnsupportedModelError(
            f"the output of layer {operator.name} is not quantised. "
            "Quantise the whole model to int8 (QDQ), this layer too."
        )
