"""A network under construction, layer behind layer, without weights."""

from automcu.compiler.graph import Attributes, Graph, Operator, Quantisation, Tensor
from automcu.compiler.tensor import Shape

ANY_SCALE = Quantisation(1.0, 0)


class LayerChain:
    """`last` is the newest tensor, named after the layer that computes it.

    Shapes are (height, width, channels); all tensors have one scale, as no kernel's time and no
    plan depends on it.
    """

    def __init__(self, shape: Shape) -> None:
        self.tensors = {"input": Tensor("input", shape, ANY_SCALE)}
        self.operators: list[Operator] = []
        self.last = "input"

    @property
    def shape(self) -> Shape:
        """The newest tensor's."""
        return self.tensors[self.last].shape

    def append(self, attributes: Attributes, *others: str) -> None:
        """Add a layer on the newest tensor, and on `others` where it takes more inputs."""
        name = f"layer_{len(self.operators)}"
        inputs = (self.last, *others)
        shape = attributes.output_shape(*(self.tensors[source].shape for source in inputs))
        self.tensors[name] = Tensor(name, shape, ANY_SCALE)
        self.operators.append(Operator(name, inputs, name, attributes))
        self.last = name

    def graph(self) -> Graph:
        """The network whose output is the newest tensor."""
        return Graph(self.tensors, tuple(self.operators), "input", self.last)
