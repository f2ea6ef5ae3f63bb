"""Layers whose weights are -1, 0 or 1 times a scale, with gradients that pass straight through.

A weight is rounded after division by the mean magnitude (Ma et al., The era of 1-bit LLMs, 2024,
section 2); the float weights behind it are what is trained, with the gradient of the rounded ones
(Bengio, Leonard and Courville, 2013).
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, layer_norm, linear

_SMALLEST_SCALE = 1e-8


def ternary_parts(weight: Tensor, per_channel: bool = False) -> tuple[Tensor, Tensor]:
    """Integers -1, 0, 1 in the shape of `weight`, and their scale: one, or one a first index."""
    magnitudes = weight.abs()
    dimensions = tuple(range(1, weight.ndim)) if per_channel else tuple(range(weight.ndim))
    scale = magnitudes.mean(dim=dimensions, keepdim=True).clamp_min(_SMALLEST_SCALE)
    return (weight / scale).round().clamp(-1, 1), scale


def ternary(weight: Tensor, per_channel: bool = False) -> Tensor:
    """The rounded weights, differentiable as if they were not rounded."""
    integers, scale = ternary_parts(weight, per_channel)
    return weight + (integers * scale - weight).detach()


class TernaryLinear(nn.Linear):
    """A linear layer with one scale for all weights; its bias stays real."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [..., in] to [..., out]."""
        return linear(inputs, ternary(self.weight), self.bias)


class TernaryConv2d(nn.Conv2d):
    """A convolution with a scale for each output channel; its bias stays real."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Images [n, c, h, w]."""
        weight = ternary(self.weight, per_channel=True)
        return conv2d(inputs, weight, self.bias, self.stride, self.padding)


class TernaryLayerNorm(nn.LayerNorm):
    """A layer norm whose gains are ternary; its offsets stay real."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [..., channels], normalised over the last axis."""
        gains = ternary(self.weight)
        return layer_norm(inputs, list(self.normalized_shape), gains, self.bias, self.eps)


def integers_and_scales(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Integers and scales of a ternary layer's weights."""
    weight = layer.get_parameter("weight")
    with torch.no_grad():
        return ternary_parts(weight, isinstance(layer, TernaryConv2d))


def with_ternary_values(network: nn.Module) -> nn.Module:
    """Return a copy whose ternary convolutions are plain ones that hold the rounded weights.

    It computes the same. An exporter then sees constants, not the rounding.
    """
    plain = copy.deepcopy(network)
    for parent in list(plain.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, TernaryConv2d):
                setattr(parent, name, _plain(layer))
    return plain


def _plain(layer: TernaryConv2d) -> nn.Conv2d:
    height, width = layer.kernel_size
    plain = nn.Conv2d(
        layer.in_channels, layer.out_channels, (height, width), bias=layer.bias is not None
    )
    plain.stride, plain.padding = layer.stride, layer.padding
    with torch.no_grad():
        plain.weight.copy_(ternary(layer.weight, per_channel=True))
        if plain.bias is not None and layer.bias is not None:
            plain.bias.copy_(layer.bias)
    return plain
