"""Layer norms and attention, as a file's nodes need them."""

from dataclasses import dataclass
from math import prod

import numpy as np

from automcu.compiler.ops import Attention, LayerNorm
from automcu.compiler.read.activation import Activation
from automcu.compiler.read.arrange import image
from automcu.compiler.read.builder import GraphBuilder
from automcu.compiler.read.elementwise import Reals
from automcu.compiler.read.view import in_order
from automcu.errors import UnsupportedModelError

_PARTS = 3  # query, key, value


@dataclass(frozen=True)
class Heads:
    """Into how many heads channels are split, and what their scores are multiplied by."""

    count: int
    scale: float | None


def layer_norm(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    gains: Reals,
    offsets: Reals,
    epsilon: float,
) -> Activation:
    """Normalisation over the last axis."""
    source = builder.settled(source, layer)
    builder.quantisation(source, layer)
    name, shape = _rows(builder, layer, source)
    channels = shape[-1]
    attributes = LayerNorm(
        np.broadcast_to(gains.reshape(-1), (channels,)).copy(),
        np.broadcast_to(offsets.reshape(-1), (channels,)).copy(),
        epsilon,
    )
    result = builder.add(layer, (name,), attributes)
    return Activation(result, in_order(shape, tuple(range(len(shape)))))


def self_attention(
    builder: GraphBuilder,
    layer: str,
    parts: tuple[Activation, Activation, Activation],
    heads: Heads,
) -> Activation:
    """Attention whose query, key and value are the thirds of one tensor's last axis.

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
    tensor = builder.tensors[parts[0].tensor]
    for index, part in enumerate(parts):
        addresses = part.view.addresses()
        expected = np.arange(tokens)[:, None] * row + index * channels + np.arange(channels)
        if (
            (part.tensor, part.function) != (parts[0].tensor, None)
            or tensor.size != tokens * row
            or not np.array_equal(addresses.reshape(tokens, channels), expected)
        ):
            raise UnsupportedModelError(
                "its query, key and value are not the thirds of one layer's result. "
                "Compute them with one linear layer."
            )
    name = builder.settled(parts[0], layer).tensor
    builder.quantisation(parts[0], layer)
    if tensor.shape != (1, tokens, row):
        raise ValueError(f"a tensor of shape {tensor.shape} for {tokens} tokens")
    scale = heads.scale if heads.scale is not None else (channels / heads.count) ** -0.5
    result = builder.add(layer, (name,), Attention(heads.count, scale))
    return Activation(result, in_order(shape, (0, 1, 2)))


def _rows(builder: GraphBuilder, layer: str, source: Activation) -> tuple[str, tuple[int, ...]]:
    """The tensor with the last axis as channels, and the activation's shape."""
    shape = source.view.shape
    last = len(shape) - 1
    if prod(shape[:last]) == 1:
        return image(builder, source, layer, ((), (), (last,))), shape
    return image(builder, source, layer, (range(last - 1), (last - 1,), (last,))), shape
