"""A small vision transformer, with real weights or all of them ternary.

Blocks are those of DeiT (Touvron et al., 2021): norm, attention, sum, norm, hidden layer with
GELU, sum. Instead of a class token the tokens' mean goes to the head; a network with real weights,
such as a teacher whose weights come from elsewhere, can have the token, too.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from automcu.networks.transformers.space import TransformerShape
from automcu.training.ternary import TernaryConv2d, TernaryLayerNorm, TernaryLinear

Observe = Callable[[str, Tensor], Tensor]
"""Sees every result that becomes an int8 tensor, by name, and returns what takes its place."""

_POSITION_DEVIATION = 0.02
_EPSILON = 1e-5


def _unseen(name: str, values: Tensor) -> Tensor:
    return values


class Block(nn.Module):
    """One layer of the encoder; tokens [n, tokens, dim] to the same."""

    def __init__(self, shape: TransformerShape, ternary: bool) -> None:
        super().__init__()
        linear, norm = (TernaryLinear, TernaryLayerNorm) if ternary else (nn.Linear, nn.LayerNorm)
        self.heads = shape.heads
        self.norm1 = norm(shape.dim, eps=_EPSILON)
        self.qkv = linear(shape.dim, 3 * shape.dim)
        self.projection = linear(shape.dim, shape.dim)
        self.norm2 = norm(shape.dim, eps=_EPSILON)
        self.hidden = linear(shape.dim, shape.mlp_ratio * shape.dim)
        self.output = linear(shape.mlp_ratio * shape.dim, shape.dim)

    def run(self, tokens: Tensor, name: str, observe: Observe) -> Tensor:
        """Compute with `observe` seeing each step."""
        values = observe(f"{name}.norm1", self.norm1(tokens))
        values = observe(f"{name}.qkv", self.qkv(values))
        values = observe(f"{name}.attention", self._attention(values))
        values = observe(f"{name}.projection", self.projection(values))
        tokens = observe(f"{name}.sum1", tokens + values)
        values = observe(f"{name}.norm2", self.norm2(tokens))
        values = observe(f"{name}.hidden", self.hidden(values))
        values = observe(f"{name}.gelu", gelu(values))
        values = observe(f"{name}.output", self.output(values))
        return observe(f"{name}.sum2", tokens + values)

    def _attention(self, values: Tensor) -> Tensor:
        count, tokens, channels = values.shape
        parts = values.reshape(count, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        means = scaled_dot_product_attention(parts[0], parts[1], parts[2])
        return means.transpose(1, 2).reshape(count, tokens, channels // 3)


class VisionTransformer(nn.Module):
    """Images [n, channels, resolution, resolution] to logits [n, classes].

    With a class token, `positions` holds its place first, and the head reads it alone.
    """

    def __init__(self, shape: TransformerShape, ternary: bool, class_token: bool = False) -> None:
        super().__init__()
        self.shape = shape
        self.ternary = ternary
        convolution = TernaryConv2d if ternary else nn.Conv2d
        linear, norm = (TernaryLinear, TernaryLayerNorm) if ternary else (nn.Linear, nn.LayerNorm)
        self.patches = convolution(shape.in_channels, shape.dim, shape.patch, stride=shape.patch)
        places = shape.tokens + class_token
        self.positions = nn.Parameter(torch.randn(1, places, shape.dim) * _POSITION_DEVIATION)
        self.class_token = nn.Parameter(torch.zeros(1, 1, shape.dim)) if class_token else None
        self.blocks = nn.ModuleList(Block(shape, ternary) for _ in range(shape.depth))
        self.norm = norm(shape.dim, eps=_EPSILON)
        self.head = linear(shape.dim, shape.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return self.run(images, _unseen)

    def run(self, images: Tensor, observe: Observe) -> Tensor:
        """Logits, with `observe` seeing each step."""
        values = observe("patches", self.patches(observe("input", images)))
        tokens = values.flatten(2).transpose(1, 2)
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = observe("tokens", tokens + self.positions)
        for index, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            tokens = block.run(tokens, f"block{index}", observe)
        values = observe("norm", self.norm(tokens))
        features = values.mean(dim=1) if self.class_token is None else values[:, 0]
        return observe("logits", self.head(observe("mean", features)))


def without_class_token(network: VisionTransformer) -> VisionTransformer:
    """Return a float network with the same parameters, that averages its tokens instead.

    It does not compute the same: it is where a network starts that is to be trained.
    """
    plain = VisionTransformer(network.shape, ternary=False)
    state = dict(network.state_dict())
    if state.pop("class_token", None) is not None:
        state["positions"] = state["positions"][:, 1:]
    plain.load_state_dict(state)
    for layer, other in zip(plain.modules(), network.modules(), strict=True):
        if isinstance(layer, nn.LayerNorm) and isinstance(other, nn.LayerNorm):
            layer.eps = other.eps
    return plain


def build_vision_transformer(shape: TransformerShape, ternary: bool = True) -> VisionTransformer:
    """A vision transformer; one with real weights and a ternary one have the same parameters."""
    return VisionTransformer(shape, ternary)
