"""Layer norms and attention."""

from math import prod

import numpy as np

from automcu.compiler.ops import Attention, LayerNorm
from automcu.compiler.read.arrange import image
from automcu.compiler.read.builder import Activation, GraphBuilder
from automcu.compiler.read.file_tensor import in_order, positive_axis
from automcu.compiler.read.node import ImportContext, Node, reader
from automcu.errors import UnsupportedModelError

_EPSILON = 1e-5
_ATTENTION_EXTRAS = ("is_causal", "softcap")
_PARTS = 3  # query, key, value


@reader("LayerNormalization")
def _layer_normalisation(node: Node, context: ImportContext) -> None:
    builder, source = context.builder, context.activation(node)
    rank = len(source.view.shape)
    if positive_axis(int(node.settings.get("axis", -1)), rank) != rank - 1:
        raise UnsupportedModelError(
            f"layer {node.layer} normalises over several axes. Normalise over the last one."
        )
    gains = context.constant(node, 1).real().reshape(-1)
    offsets = context.constant(node, 2).real().reshape(-1) if node.has_input(2) else np.zeros(1)
    source = builder.computed(source, node.layer)
    builder.quantisation(source, node.layer)
    name, shape = _rows(builder, node.layer, source)
    attributes = LayerNorm(
        np.broadcast_to(gains, shape[-1:]).copy(),
        np.broadcast_to(offsets, shape[-1:]).copy(),
        node.number("epsilon", _EPSILON),
    )
    result = builder.add(node.layer, (name,), attributes)
    context.set_output(node, Activation(result, in_order(shape, tuple(range(len(shape))))))


@reader("Attention")
def _attention(node: Node, context: ImportContext) -> None:
    builder, layer = context.builder, node.layer
    extras = [name for name in _ATTENTION_EXTRAS if node.settings.get(name, 0)]
    if extras or any(node.has_input(position) for position in range(3, len(node.inputs))):
        raise UnsupportedModelError(
            f"layer {layer} masks or caps its scores, or keeps those of the past. "
            "Use plain self-attention."
        )
    heads = int(node.settings.get("q_num_heads", 0))
    if heads < 1 or heads != int(node.settings.get("kv_num_heads", 0)):
        raise UnsupportedModelError(
            f"layer {layer} does not say one number of heads for all. "
            "Export it with q_num_heads and kv_num_heads."
        )
    parts = [context.activation(node, position) for position in range(_PARTS)]
    tokens, channels = _checked_thirds(builder, parts)
    name = builder.computed(parts[0], layer).tensor
    builder.quantisation(parts[0], layer)
    if builder.tensors[name].shape != (1, tokens, _PARTS * channels):
        raise ValueError(f"a tensor of shape {builder.tensors[name].shape} for {tokens} tokens")
    scale = node.settings.get("scale")
    scale = float(scale) if scale is not None else (channels / heads) ** -0.5
    result = builder.add(layer, (name,), Attention(heads, scale))
    context.set_output(node, Activation(result, in_order((1, tokens, channels), (0, 1, 2))))


def _checked_thirds(builder: GraphBuilder, parts: list[Activation]) -> tuple[int, int]:
    """Tokens and channels of a query, key and value that are the thirds of a tensor's last axis.

    Raises:
        UnsupportedModelError: they are not.
    """
    shape = parts[0].view.shape
    if len(shape) != 3 or shape[0] != 1:
        raise UnsupportedModelError(
            f"its query has the shape {list(shape)}. Export it as [1, tokens, channels]."
        )
    _, tokens, channels = shape
    row = _PARTS * channels
    for index, part in enumerate(parts):
        addresses = part.view.addresses()
        expected = np.arange(tokens)[:, None] * row + index * channels + np.arange(channels)
        if (
            (part.tensor, part.function) != (parts[0].tensor, None)
            or builder.tensors[part.tensor].size != tokens * row
            or not np.array_equal(addresses.reshape(tokens, channels), expected)
        ):
            raise UnsupportedModelError(
                "its query, key and value are not the thirds of one layer's result. "
                "Compute them with one linear layer."
            )
    return tokens, channels


def _rows(builder: GraphBuilder, layer: str, source: Activation) -> tuple[str, tuple[int, ...]]:
    """The tensor with the last axis as channels, and the activation's shape."""
    shape = source.view.shape
    last = len(shape) - 1
    if prod(shape[:last]) == 1:
        return image(builder, source, layer, ((), (), (last,))), shape
    return image(builder, source, layer, (range(last - 1), (last - 1,), (last,))), shape
