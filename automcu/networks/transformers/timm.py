"""A vision transformer with weights in timm's names: DeiT, DeiT III and plain ViTs.

timm (`pip install timm`) hands out ImageNet weights; what is read is its file or its state dict,
so that timm itself is not needed. The network that comes of it computes what timm's does, on
images in [0, 1]: their normalisation is folded into the patch embedding, and DeiT III's layer
scales into the matrices before them. The distillation token of DeiT's distilled variants has no
place here.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from automcu.errors import ToolError, UnsupportedModelError, WrongInputError
from automcu.networks.transformers.family import TransformerShape
from automcu.networks.transformers.torch import VisionTransformer

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
_HEAD_WIDTH = 64  # of all DeiT and ViT models (Touvron et al., 2021, table 1)
_EPSILON = 1e-6  # timm's
_OUR_NAMES = {
    "patch_embed.proj": "patches",
    "attn.qkv": "qkv",
    "attn.proj": "projection",
    "mlp.fc1": "hidden",
    "mlp.fc2": "output",
}
_LAYER_SCALES = {"ls1.gamma": "projection", "ls2.gamma": "output"}
_Tensors = dict[str, Tensor]


def read_timm_weights(path: Path) -> _Tensors:
    """Return the tensors of a `.safetensors` or `.pth` file; no code in it is run.

    Raises:
        WrongInputError: the file is missing or damaged.
        ToolError: the package safetensors is needed and missing.
    """
    if not path.is_file():
        raise WrongInputError(f"There is no file {path}. Give timm's weights of a DeiT.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise ToolError(
            "Reading .safetensors takes the package safetensors. Install it: pip install timm."
        ) from error
    except Exception as error:  # a damaged file can fail in any way
        raise WrongInputError(
            f"{path} holds no weights that can be read. Save it again."
        ) from error
    return dict(found.get("model", found))


def transformer_from_timm(
    weights: Mapping[str, Tensor],
    *,
    heads: int | None = None,
    resolution: int | None = None,
    classes: int | None = None,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    deviation: tuple[float, ...] = IMAGENET_DEVIATION,
) -> VisionTransformer:
    """Build the float network that timm's tensors are the weights of.

    Args:
        weights: timm's state dict.
        heads: of the attention; None for one of each 64 channels.
        resolution: pixels of a side, where not those of the weights: positions are interpolated.
        classes: where not those of the weights: the head is drawn anew.
        mean: of each channel, which timm's preprocessing takes off.
        deviation: what it divides by.

    Raises:
        UnsupportedModelError: a tensor is missing or left over, or no network has these shapes.
    """
    left = dict(weights)
    try:
        shape = _shape(left, heads)
        network = VisionTransformer(shape, False, class_token="cls_token" in left)
        state = _renamed(left, network)
    except (KeyError, ValueError, IndexError) as error:
        raise UnsupportedModelError(
            f"These are no weights of a DeiT ({error}). Give those of a plain vision transformer."
        ) from error
    _fold_normalisation(state, mean, deviation)
    missing, unknown = _difference(state, network)
    if missing or unknown:
        names = ", ".join(sorted(missing | unknown)[:3])
        raise UnsupportedModelError(
            f"These are no weights of a DeiT: {names} is missing or unknown. "
            "Give those of a plain vision transformer, not distilled."
        )
    network.load_state_dict(state)
    for layer in network.modules():
        if isinstance(layer, nn.LayerNorm):
            layer.eps = _EPSILON
    return _fitted(network, resolution or shape.resolution, classes or shape.classes)


def _shape(weights: _Tensors, heads: int | None) -> TransformerShape:
    dim, channels, patch, _ = weights["patch_embed.proj.weight"].shape
    places = weights["pos_embed"].shape[1]
    side = math.isqrt(places)  # a class token's place is one more than a square
    blocks = [int(found[1]) for name in weights if (found := re.match(r"blocks\.(\d+)\.", name))]
    return TransformerShape(
        resolution=side * patch,
        in_channels=channels,
        classes=len(weights["head.weight"]),
        patch=patch,
        dim=dim,
        depth=max(blocks) + 1,
        heads=heads or max(1, dim // _HEAD_WIDTH),
        mlp_ratio=len(weights["blocks.0.mlp.fc1.weight"]) // dim,
    )


def _renamed(weights: _Tensors, network: VisionTransformer) -> _Tensors:
    """The tensors under our names, layer scales multiplied into what they scale."""
    state: _Tensors = {}
    scales = {name: weights.pop(name) for name in list(weights) if name.endswith(".gamma")}
    for name, tensor in weights.items():
        for theirs, ours in _OUR_NAMES.items():
            name = name.replace(theirs, ours)
        state[name] = tensor.float().clone()
    for name, scale in scales.items():
        block, kind = name.rsplit(".", 2)[0], ".".join(name.rsplit(".", 2)[1:])
        layer = f"{block}.{_LAYER_SCALES[kind]}"
        state[f"{layer}.weight"] *= scale.float()[:, None]
        state[f"{layer}.bias"] *= scale.float()
    positions = state.pop("pos_embed")
    if network.class_token is not None:
        state["class_token"] = state.pop("cls_token")
        if positions.shape[1] == network.shape.tokens:  # DeiT III: its class token has no place
            positions = torch.cat([torch.zeros_like(positions[:, :1]), positions], dim=1)
    state["positions"] = positions
    return state


def _fold_normalisation(
    state: _Tensors, mean: tuple[float, ...], deviation: tuple[float, ...]
) -> None:
    weight = state["patches.weight"]
    if not len(mean) == len(deviation) == weight.shape[1]:
        raise UnsupportedModelError(
            f"The weights take {weight.shape[1]} channels, {len(mean)} means were given. "
            "Give a mean and a deviation for each channel."
        )
    weight = weight / torch.tensor(deviation)[None, :, None, None]
    shift = (weight * torch.tensor(mean)[None, :, None, None]).sum(dim=(1, 2, 3))
    state["patches.weight"], state["patches.bias"] = weight, state["patches.bias"] - shift


def _difference(state: _Tensors, network: nn.Module) -> tuple[set[str], set[str]]:
    """Names that are missing, and those that are unknown or have another shape."""
    wanted = {name: tensor.shape for name, tensor in network.state_dict().items()}
    unknown = {name for name, tensor in state.items() if wanted.get(name) != tensor.shape}
    return wanted.keys() - state.keys(), unknown


def _fitted(network: VisionTransformer, resolution: int, classes: int) -> VisionTransformer:
    """The network for images of another size, or other classes."""
    shape = network.shape
    if (resolution, classes) == (shape.resolution, shape.classes):
        return network.eval()
    sizes = {**shape.model_dump(), "resolution": resolution, "classes": classes}
    try:
        other = VisionTransformer(
            TransformerShape(**sizes), False, class_token=network.class_token is not None
        )
    except ValueError as error:
        raise UnsupportedModelError(
            f"{resolution} pixels are no whole patches of {shape.patch}. Give a multiple of it."
        ) from error
    state = dict(network.state_dict())
    state["positions"] = _resampled(state["positions"], shape.tokens, other.shape.tokens)
    if classes != shape.classes:
        state.update({name: value for name, value in other.state_dict().items() if "head." in name})
    other.load_state_dict(state)
    for layer in other.modules():
        if isinstance(layer, nn.LayerNorm):
            layer.eps = _EPSILON
    return other.eval()


def _resampled(positions: Tensor, tokens: int, wanted: int) -> Tensor:
    """Positions of patches, bicubic; that of a class token stays."""
    first, grid = positions[:, :-tokens], positions[:, -tokens:]
    side, new_side = math.isqrt(tokens), math.isqrt(wanted)
    square = grid.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    square = interpolate(square, size=(new_side, new_side), mode="bicubic", antialias=True)
    return torch.cat([first, square.permute(0, 2, 3, 1).reshape(1, wanted, -1)], dim=1)
