"""A small vision transformer, with real weights or all of them ternary, and how it is trained.

Blocks are those of DeiT (Touvron et al., 2021): norm, attention, sum, norm, hidden layer with
GELU, sum. Instead of a class token the tokens' mean goes to the head; a network with real weights,
such as a teacher whose weights come from elsewhere, can have the token, too.

Weights in the quantised ONNX file are INT2 with their scales. Two things are written so that
onnxruntime 1.31 runs it as it is: a reshape to the same shape stands between weights and product,
as it would otherwise turn both into an integer product, which it has for eight bits only; and
biases of products have three axes, as a matrix product with a plain bias after it becomes a Gemm
whose types do not agree.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from automcu.errors import WrongInputError
from automcu.export.float_onnx import export_onnx
from automcu.export.quantise import INPUT_SCALE, INPUT_ZERO_POINT, calibration_inputs
from automcu.networks.family import FLOAT_MODEL, INT8_MODEL
from automcu.networks.transformers.family import TransformerShape
from automcu.records import write_atomically
from automcu.training.loop import accuracy, fit
from automcu.training.records import Trained, Training, teachers_recipe, transformer_recipe_for
from automcu.training.ternary import (
    TernaryConv2d,
    TernaryLayerNorm,
    TernaryLinear,
    fit_ternary,
    integers_and_scales,
)

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


_OPSET = 25  # the first with INT2
_IR_VERSION = 13
_STEPS = 255
_SMALLEST_RANGE = 1e-4
_Ranges = dict[str, tuple[float, float]]


def export_transformer(
    network: VisionTransformer, calibration_inputs_nhwc: NDArray[np.float32], path: Path
) -> None:
    """Write the network, ranges of activations being those on the calibration images.

    `calibration_inputs_nhwc` are float32 [n, height, width, channels] in [0, 1]. The file takes
    `input` float32 [1, channels, height, width] and returns `logits` [1, classes].

    Raises:
        WrongInputError: the network is not ternary, or has a class token.
    """
    if not network.ternary or network.class_token is not None:
        raise WrongInputError(
            "Only ternary transformers without a class token can be exported. Train such a one."
        )
    writer = _Writer(_ranges(network, calibration_inputs_nhwc))
    _write_network(network, writer)
    write_atomically(path, writer.model(network).SerializeToString())


def _ranges(network: VisionTransformer, images: NDArray[np.float32]) -> _Ranges:
    ranges: _Ranges = {}

    def observe(name: str, values: Tensor) -> Tensor:
        ranges[name] = (float(values.min()), float(values.max()))
        return values

    inputs = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    with torch.no_grad():
        network.eval().run(inputs, observe)
    return ranges


class _Writer:
    """Nodes and constants of a file under construction."""

    def __init__(self, ranges: _Ranges) -> None:
        self._ranges = ranges
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[TensorProto] = []

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """Store an array."""
        self._constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def two_bits(self, name: str, values: NDArray[np.int8]) -> str:
        """Store an array of -2 to 1 as INT2."""
        self._constants.append(
            helper.make_tensor(name, TensorProto.INT2, values.shape, values.reshape(-1).tolist())
        )
        return name

    def node(self, kind: str, inputs: Sequence[str], name: str, **settings: object) -> str:
        """Append a node with one result, which is called like it."""
        self._nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **settings))
        return name

    def thirds(self, source: str, name: str) -> list[str]:
        """The last axis in three."""
        parts = [f"{name}.{part}" for part in ("query", "key", "value")]
        self._nodes.append(
            helper.make_node("Split", [source], parts, name=name, axis=2, num_outputs=3)
        )
        return parts

    def quantised(self, source: str, name: str) -> str:
        """`source` as int8 in the range observed for `name`, and back."""
        scale, zero_point = INPUT_SCALE, INPUT_ZERO_POINT
        if name != "input":
            scale, zero_point = _scale(*self._ranges[name])
        constants = [
            self.constant(f"{name}.scale", np.array(scale, np.float32)),
            self.constant(f"{name}.zero_point", np.array(zero_point, np.int8)),
        ]
        result = self.node("QuantizeLinear", [source, *constants], f"{name}.quantised")
        return self.node("DequantizeLinear", [result, *constants], f"{name}.int8")

    def weights(self, layer: nn.Module, name: str, transposed: bool) -> str:
        """Ternary weights as INT2 with their scales."""
        integers, scales = (part.numpy() for part in integers_and_scales(layer))
        values = integers.astype(np.int8)
        scale = scales.reshape(-1) if scales.size > 1 else scales.reshape(())
        values = values.T if transposed else values
        inputs = [
            self.two_bits(f"{name}.integers", values),
            self.constant(f"{name}.weight_scale", scale.astype(np.float32)),
            self.two_bits(f"{name}.weight_zero_point", np.zeros_like(scale, np.int8)),
        ]
        real = self.node("DequantizeLinear", inputs, f"{name}.real", axis=0)
        sizes = self.constant(f"{name}.weight_sizes", np.array(values.shape, np.int64))
        return self.node("Reshape", [real, sizes], f"{name}.weight")

    def linear(self, layer: nn.Module, source: str, name: str, axes: int = 3) -> str:
        """A product of so many axes and its bias."""
        weight = self.weights(layer, name, transposed=True)
        product = self.node("MatMul", [source, weight], f"{name}.product")
        values = _array(layer.get_parameter("bias"))
        bias = self.constant(f"{name}.bias", values.reshape((1,) * (axes - 1) + (-1,)))
        return self.quantised(self.node("Add", [product, bias], name), name)

    def norm(self, layer: nn.Module, source: str, name: str) -> str:
        """A layer norm with ternary gains."""
        assert isinstance(layer, nn.LayerNorm)
        integers, scale = integers_and_scales(layer)
        inputs = [
            source,
            self.constant(f"{name}.gain", _array(integers * scale)),
            self.constant(f"{name}.offset", _array(layer.bias)),
        ]
        result = self.node("LayerNormalization", inputs, name, axis=-1, epsilon=layer.eps)
        return self.quantised(result, name)

    def model(self, network: VisionTransformer) -> onnx.ModelProto:
        """The file."""
        shape = network.shape
        size = [1, shape.in_channels, shape.resolution, shape.resolution]
        graph = helper.make_graph(
            self._nodes,
            "vision_transformer",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, size)],
            [helper.make_tensor_value_info("logits.int8", TensorProto.FLOAT, [1, shape.classes])],
            self._constants,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="automcu",
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def _write_network(network: VisionTransformer, writer: _Writer) -> None:
    shape, patches = network.shape, network.patches
    inputs = [
        writer.quantised("input", "input"),
        writer.weights(patches, "patches", transposed=False),
        writer.constant("patches.bias", _array(patches.get_parameter("bias"))),
    ]
    sides = [shape.patch, shape.patch]
    result = writer.node("Conv", inputs, "patches", kernel_shape=sides, strides=sides)
    sizes = writer.constant("patches.sizes", np.array([1, shape.dim, shape.tokens], np.int64))
    result = writer.node("Reshape", [result, sizes], "patches.row")
    result = writer.node("Transpose", [result], "patches.tokens", perm=[0, 2, 1])
    result = writer.quantised(result, "patches")
    positions = writer.constant("positions", _array(network.positions))
    tokens = writer.quantised(writer.node("Add", [result, positions], "tokens"), "tokens")
    for index, block in enumerate(network.blocks):
        assert isinstance(block, Block)
        tokens = _write_block(block, tokens, f"block{index}", writer)
    result = writer.norm(network.norm, tokens, "norm")
    axes = writer.constant("mean.axes", np.array([1], np.int64))
    result = writer.node("ReduceMean", [result, axes], "mean", keepdims=0)
    writer.linear(network.head, writer.quantised(result, "mean"), "logits", axes=2)


def _write_block(block: Block, tokens: str, name: str, writer: _Writer) -> str:
    result = writer.norm(block.norm1, tokens, f"{name}.norm1")
    result = writer.linear(block.qkv, result, f"{name}.qkv")
    parts = writer.thirds(result, f"{name}.split")
    heads = {"q_num_heads": block.heads, "kv_num_heads": block.heads}
    result = writer.node("Attention", parts, f"{name}.attention", **heads)
    result = writer.quantised(result, f"{name}.attention")
    result = writer.linear(block.projection, result, f"{name}.projection")
    result = writer.node("Add", [tokens, result], f"{name}.sum1")
    tokens = writer.quantised(result, f"{name}.sum1")
    result = writer.norm(block.norm2, tokens, f"{name}.norm2")
    result = writer.linear(block.hidden, result, f"{name}.hidden")
    result = writer.quantised(writer.node("Gelu", [result], f"{name}.gelu"), f"{name}.gelu")
    result = writer.linear(block.output, result, f"{name}.output")
    result = writer.node("Add", [tokens, result], f"{name}.sum2")
    return writer.quantised(result, f"{name}.sum2")


def _scale(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point with which a range that holds 0 becomes int8."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, _SMALLEST_RANGE) / _STEPS
    return scale, int(np.clip(np.rint(-128 - low / scale), -128, 127))


def _array(values: Tensor) -> NDArray[np.float32]:
    return values.detach().cpu().numpy().astype(np.float32)


def train_transformer(shape: TransformerShape, training: Training) -> Trained:
    """Train a float teacher and its ternary student; the accuracy is the teacher's."""
    recipe = transformer_recipe_for(training.data, training.seconds)
    first = teachers_recipe(recipe)
    torch.manual_seed(training.seed)
    teacher = build_vision_transformer(shape, ternary=False)
    curve = fit(teacher, training, first, "float, ")
    student = build_vision_transformer(shape, ternary=True)
    ternary = fit_ternary(student, teacher, training, recipe)
    export_onnx(teacher, training.data.input_shape, training.folder / FLOAT_MODEL)
    export_transformer(student, calibration_inputs(training.data), training.folder / INT8_MODEL)
    return Trained(
        recipe=first,
        training=curve,
        ternary=ternary,
        float_accuracy=accuracy(teacher, training.data.validation),
        parameters=sum(parameter.numel() for parameter in student.parameters()),
    )
