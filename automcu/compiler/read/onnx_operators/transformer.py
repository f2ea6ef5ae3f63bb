"""LayerNormalization and Attention."""

import numpy as np

from automcu.compiler.read.onnx_operators.node import Node, Reading, operator, positive_axis
from automcu.compiler.read.transformer import Heads, layer_norm, self_attention
from automcu.errors import UnsupportedModelError

_EPSILON = 1e-5
_ATTENTION_EXTRAS = ("is_causal", "softcap")


@operator("LayerNormalization")
def _layer_normalisation(node: Node, reading: Reading) -> None:
    source = reading.activation(node)
    rank = len(source.view.shape)
    if positive_axis(int(node.settings.get("axis", -1)), rank) != rank - 1:
        raise UnsupportedModelError(
            f"layer {node.layer} normalises over several axes. Normalise over the last one."
        )
    gains = reading.constant(node, 1).real()
    offsets = reading.constant(node, 2).real() if node.has_input(2) else np.zeros(1)
    epsilon = float(node.settings.get("epsilon", _EPSILON))
    reading.bind(node, layer_norm(reading.builder, node.layer, source, gains, offsets, epsilon))


@operator("Attention")
def _attention(node: Node, reading: Reading) -> None:
    extras = [name for name in _ATTENTION_EXTRAS if node.settings.get(name, 0)]
    if extras or any(node.has_input(position) for position in range(3, len(node.inputs))):
        raise UnsupportedModelError(
            f"layer {node.layer} masks or caps its scores, or keeps those of the past. "
            "Use plain self-attention."
        )
    heads = int(node.settings.get("q_num_heads", 0))
    if heads < 1 or heads != int(node.settings.get("kv_num_heads", 0)):
        raise UnsupportedModelError(
            f"layer {node.layer} does not say one number of heads for all. "
            "Export it with q_num_heads and kv_num_heads."
        )
    scale = node.settings.get("scale")
    parts = (reading.activation(node, 0), reading.activation(node, 1), reading.activation(node, 2))
    reading.bind(
        node,
        self_attention(
            reading.builder,
            node.layer,
            parts,
            Heads(heads, None if scale is None else float(scale)),
        ),
    )
