"""Weights in timm's names, against a forward pass written from them alone."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, gelu, layer_norm, linear

from automcu.errors import UnsupportedModelError, WrongInputError
from automcu.networks.transformers.timm import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    read_timm_weights,
    transformer_from_timm,
)
from automcu.networks.transformers.torch import build_vision_transformer, without_class_token

DIM, DEPTH, PATCH, SIDE, CLASSES, HEADS = 16, 2, 4, 12, 5, 2


def _weights(kind: str) -> dict[str, Tensor]:
    """Of a DeiT, a DeiT III (layer scales, no place for the class token) or a ViT without token."""
    generator = torch.Generator().manual_seed(0)

    def draw(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator) * 0.3

    places = (SIDE // PATCH) ** 2
    found = {
        "patch_embed.proj.weight": draw(DIM, 3, PATCH, PATCH),
        "patch_embed.proj.bias": draw(DIM),
        "pos_embed": draw(1, places + (kind == "DeiT"), DIM),
        "norm.weight": draw(DIM),
        "norm.bias": draw(DIM),
        "head.weight": draw(CLASSES, DIM),
        "head.bias": draw(CLASSES),
    }
    if kind != "ViT":
        found["cls_token"] = draw(1, 1, DIM)
    for index in range(DEPTH):
        sizes = {"attn.qkv": (3 * DIM, DIM), "attn.proj": (DIM, DIM)}
        sizes |= {"mlp.fc1": (2 * DIM, DIM), "mlp.fc2": (DIM, 2 * DIM)}
        for name, (rows, columns) in sizes.items():
            found[f"blocks.{index}.{name}.weight"] = draw(rows, columns)
            found[f"blocks.{index}.{name}.bias"] = draw(rows)
        for name in ("norm1", "norm2"):
            found[f"blocks.{index}.{name}.weight"] = draw(DIM)
            found[f"blocks.{index}.{name}.bias"] = draw(DIM)
        if kind == "DeiT III":
            found[f"blocks.{index}.ls1.gamma"] = draw(DIM)
            found[f"blocks.{index}.ls2.gamma"] = draw(DIM)
    return found


def _timm_forward(w: dict[str, Tensor], images: Tensor) -> Tensor:
    """What timm's VisionTransformer computes with these weights."""
    mean, deviation = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    x = conv2d(
        (images - mean) / deviation,
        w["patch_embed.proj.weight"],
        w["patch_embed.proj.bias"],
        stride=PATCH,
    )
    x = x.flatten(2).transpose(1, 2)
    token = w.get("cls_token")
    if token is not None and w["pos_embed"].shape[1] == x.shape[1]:
        x = torch.cat([token.expand(len(x), -1, -1), x + w["pos_embed"]], dim=1)
    else:
        x = x if token is None else torch.cat([token.expand(len(x), -1, -1), x], dim=1)
        x = x + w["pos_embed"]

    def norm(values: Tensor, name: str) -> Tensor:
        return layer_norm(values, [DIM], w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)

    def product(values: Tensor, name: str) -> Tensor:
        return linear(values, w[f"{name}.weight"], w[f"{name}.bias"])

    for index in range(DEPTH):
        name = f"blocks.{index}"
        qkv = product(norm(x, f"{name}.norm1"), f"{name}.attn.qkv")
        q, k, v = qkv.reshape(*x.shape[:2], 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-2, -1)) * (DIM // HEADS) ** -0.5
        values = (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(x.shape)
        x = x + w.get(f"{name}.ls1.gamma", 1.0) * product(values, f"{name}.attn.proj")
        values = gelu(product(norm(x, f"{name}.norm2"), f"{name}.mlp.fc1"))
        x = x + w.get(f"{name}.ls2.gamma", 1.0) * product(values, f"{name}.mlp.fc2")
    x = norm(x, "norm")
    return product(x.mean(dim=1) if token is None else x[:, 0], "head")


@pytest.mark.parametrize("kind", ["DeiT", "DeiT III", "ViT"])
def test_the_network_computes_what_timm_does_on_pixels(kind: str) -> None:
    weights, images = _weights(kind), torch.rand(3, 3, SIDE, SIDE)
    network = transformer_from_timm(weights, heads=HEADS)
    with torch.no_grad():
        torch.testing.assert_close(
            network(images), _timm_forward(weights, images), atol=1e-5, rtol=0
        )


def test_files_of_both_kinds_of_wrapping_are_read(tmp_path: Path) -> None:
    weights = _weights("DeiT")
    torch.save({"model": weights}, tmp_path / "deit.pth")
    torch.save(weights, tmp_path / "timm.pth")
    for name in ("deit.pth", "timm.pth"):
        found = read_timm_weights(tmp_path / name)
        assert found.keys() == weights.keys()
        assert torch.equal(found["head.weight"], weights["head.weight"])


def test_other_sizes_and_classes_keep_what_can_be_kept() -> None:
    network = transformer_from_timm(_weights("DeiT"), heads=HEADS)
    other = transformer_from_timm(_weights("DeiT"), heads=HEADS, resolution=24, classes=3)
    assert other(torch.rand(2, 3, 24, 24)).shape == (2, 3)
    assert torch.equal(other.blocks[0].qkv.weight, network.blocks[0].qkv.weight)
    assert other.positions.shape[1] == 1 + 36
    assert torch.equal(other.positions[:, 0], network.positions[:, 0])


def test_a_ternary_student_can_start_from_it() -> None:
    teacher = transformer_from_timm(_weights("DeiT"), heads=HEADS)
    student = build_vision_transformer(teacher.shape, ternary=True)
    student.load_state_dict(without_class_token(teacher).state_dict())
    assert torch.equal(student.head.weight, teacher.head.weight)
    assert torch.equal(student.positions, teacher.positions[:, 1:])


@pytest.mark.parametrize("name", ["pos_embed", "norm.bias", "blocks.1.mlp.fc1.weight"])
def test_missing_tensors_are_named_in_a_sentence(name: str) -> None:
    weights = _weights("DeiT")
    del weights[name]
    with pytest.raises(UnsupportedModelError, match="no weights of a DeiT"):
        transformer_from_timm(weights, heads=HEADS)


def test_a_distilled_model_is_refused() -> None:
    weights = _weights("DeiT") | {"dist_token": torch.zeros(1, 1, DIM)}
    with pytest.raises(UnsupportedModelError, match="not distilled"):
        transformer_from_timm(weights, heads=HEADS)


def test_patches_that_do_not_divide_the_size_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="multiple"):
        transformer_from_timm(_weights("DeiT"), heads=HEADS, resolution=30)


def test_a_missing_or_damaged_file_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(WrongInputError, match="no file"):
        read_timm_weights(tmp_path / "none.pth")
    (tmp_path / "bad.pth").write_bytes(b"nonsense")
    with pytest.raises(WrongInputError, match="holds no weights"):
        read_timm_weights(tmp_path / "bad.pth")
