"""The graph that a ternary vision transformer will become once it is trained and imported.

Like `architecture_graph`, it has shapes but no weights; tests hold it against an exported file.
"""

from automcu.compiler.graph import Attributes, Graph, Operator, Quantisation, Tensor
from automcu.compiler.ops import (
    Add,
    AddConstant,
    Attention,
    AveragePool,
    Convolution,
    LayerNorm,
    Lookup,
    Rearrange,
)
from automcu.compiler.tensor import Window
from automcu.networks.transformers.space import TransformerShape

_ANY_SCALE = Quantisation(1.0, 0)  # costs do not depend on scales


class _Builder:
    """Appends operators; a tensor is named after the operator that computes it."""

    def __init__(self, image: Tensor) -> None:
        self.tensors = {image.name: image}
        self.operators: list[Operator] = []

    def add(self, name: str, attributes: Attributes, *inputs: str) -> str:
        shape = attributes.output_shape(*(self.tensors[source].shape for source in inputs))
        self.tensors[name] = Tensor(name, shape, _ANY_SCALE)
        self.operators.append(Operator(name, inputs, name, attributes))
        return name

    def linear(self, name: str, source: str, channels: int) -> str:
        layer = Convolution(Window(1, 1), channels, ternary=True, shared_scale=True)
        return self.add(name, layer, source)


def transformer_graph(shape: TransformerShape) -> Graph:
    """Build the graph of a vision transformer whose weights are all ternary.

    Raises:
        UnsupportedModelError: it has too many tokens or channels for integer arithmetic.
    """
    image = Tensor("input", (shape.resolution, shape.resolution, shape.in_channels), _ANY_SCALE)
    builder = _Builder(image)
    patches = Window(shape.patch, shape.patch, (shape.patch, shape.patch))
    tokens = builder.add("patches", Convolution(patches, shape.dim, ternary=True), "input")
    values = shape.tokens * shape.dim
    row = Rearrange("transpose", (1, shape.tokens, shape.dim), ((values, 1),))
    tokens = builder.add("patches_tokens", row, tokens)
    tokens = builder.add("tokens", AddConstant(None), tokens)
    for index in range(shape.depth):
        tokens = _block(builder, f"block{index}", tokens, shape)
    result = builder.add("norm", LayerNorm(None, None), tokens)
    result = builder.add("mean", AveragePool(Window(1, shape.tokens)), result)
    result = builder.linear("logits", result, shape.classes)
    return Graph(builder.tensors, tuple(builder.operators), "input", result)


def _block(builder: _Builder, name: str, tokens: str, shape: TransformerShape) -> str:
    result = builder.add(f"{name}.norm1", LayerNorm(None, None), tokens)
    result = builder.linear(f"{name}.qkv", result, 3 * shape.dim)
    heads = Attention(shape.heads, (shape.dim // shape.heads) ** -0.5)
    result = builder.add(f"{name}.attention", heads, result)
    result = builder.linear(f"{name}.projection", result, shape.dim)
    tokens = builder.add(f"{name}.sum1", Add(), tokens, result)
    result = builder.add(f"{name}.norm2", LayerNorm(None, None), tokens)
    result = builder.linear(f"{name}.hidden", result, shape.mlp_ratio * shape.dim)
    result = builder.add(f"{name}.gelu", Lookup("gelu", None), result)
    result = builder.linear(f"{name}.output", result, shape.dim)
    return builder.add(f"{name}.sum2", Add(), tokens, result)
