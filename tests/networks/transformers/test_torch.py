"""Ternary layers and the vision transformer that is made of them."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from automcu.networks.transformers.family import TransformerShape
from automcu.networks.transformers.torch import build_vision_transformer
from automcu.training.ternary import (
    TernaryConv2d,
    TernaryLayerNorm,
    TernaryLinear,
    integers_and_scales,
    ternary,
)

SMALL = TransformerShape(resolution=8, patch=4, dim=8, depth=2, heads=2, mlp_ratio=2)


def test_a_linear_layer_has_three_values_and_one_scale() -> None:
    layer = TernaryLinear(40, 30)
    integers, scale = integers_and_scales(layer)
    assert set(integers.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert scale.numel() == 1 and torch.isclose(scale.squeeze(), layer.weight.abs().mean())
    inputs = torch.randn(5, 40)
    expected = inputs @ (integers * scale).T + layer.bias
    assert torch.allclose(layer(inputs), expected, atol=1e-5)


def test_a_convolution_has_a_scale_for_each_channel() -> None:
    _, scale = integers_and_scales(TernaryConv2d(3, 6, 4, stride=4))
    assert scale.shape == (6, 1, 1, 1)


def test_gradients_pass_as_if_nothing_was_rounded() -> None:
    weight = torch.randn(7, 9, requires_grad=True)
    factors = torch.randn(7, 9)
    (ternary(weight) * factors).sum().backward()
    assert weight.grad is not None and torch.allclose(weight.grad, factors)


def test_fresh_norms_are_those_of_torch() -> None:
    inputs = torch.randn(3, 16)
    assert torch.allclose(TernaryLayerNorm(16)(inputs), nn.LayerNorm(16)(inputs), atol=1e-6)


def test_all_matrices_and_gains_of_the_ternary_network_are_ternary() -> None:
    network = build_vision_transformer(SMALL)
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.LayerNorm)]
    assert len(layers) == 2 + 1 + 6 * SMALL.depth
    assert all(isinstance(m, TernaryLinear | TernaryConv2d | TernaryLayerNorm) for m in layers)


def test_a_float_network_hands_its_parameters_to_a_ternary_one() -> None:
    float_, ternary_ = (build_vision_transformer(SMALL, ternary=kind) for kind in (False, True))
    ternary_.load_state_dict(float_.state_dict())
    images = torch.rand(2, 1, 8, 8)
    assert ternary_(images).shape == (2, 10)
    assert not torch.allclose(ternary_(images), float_(images))


@pytest.mark.parametrize("wrong", [{"patch": 5}, {"heads": 3}])
def test_sizes_that_do_not_divide_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        TransformerShape.model_validate({**SMALL.model_dump(), **wrong})
