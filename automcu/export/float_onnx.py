"""From a torch network to a float ONNX file: the seam between training and compiling.

The exported graph is brought to the few operators and the plain form that the compiler reads, and
its nodes get readable names, which become layer names in generated C: the exporter names a node
after the path of modules that ran it, and `/stages.0/stages.0.1/0_to_1/0_to_1.0/Conv` becomes
`stage0_cell1_0_to_1_conv3x3`.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import nn

from automcu.errors import UnsupportedModelError
from automcu.records import scratch_folder, write_atomically

OPERATOR_LABELS = {
    "AveragePool": "avgpool",
    "BatchNormalization": "batchnorm",
    "GlobalAveragePool": "global_avgpool",
    "MaxPool": "maxpool",
}
CLASS_SUFFIXES = ("Module", "Block", "Layer")


def readable_names(nodes: Iterable[NodeProto], network: nn.Module) -> dict[str, str]:
    """Return a unique C identifier for each node's name, in the same order on every export.

    Positions in an `nn.Sequential` are left out where the name is unique without them.
    """
    owners = _module_labels(network)
    parts = {node.name: _parts(node, owners) for node in nodes}
    short = {
        name: _joined(part for part in found if not part.isdigit()) for name, found in parts.items()
    }
    uses = Counter(short.values())
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name, found in parts.items():
        wanted = short[name] if uses[short[name]] == 1 else _joined(found)
        names[name] = _first_free(wanted, taken)
        taken.add(names[name])
    return names


def _module_labels(network: nn.Module) -> dict[str, str]:
    """Name each module that is not torch's own after its class: `stages.0.1` is a `cell`."""
    labels = {}
    for path, module in network.named_modules():
        if not type(module).__module__.startswith("torch."):
            labels[path] = _label_of_class(type(module).__name__)
    return labels


def _label_of_class(name: str) -> str:
    for suffix in CLASS_SUFFIXES:
        name = name.removesuffix(suffix) or name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _parts(node: NodeProto, owners: Mapping[str, str]) -> list[str]:
    *scopes, operator = node.name.strip("/").split("/")
    parts = []
    before = ""
    for scope in scopes:
        own = scope.removeprefix(f"{before}.") if before else scope
        parts += _scope_parts(scope, own, owners)
        before = scope
    return [*parts, _operator_label(node), *re.findall(r"_(\d+)$", operator)]


def _scope_parts(scope: str, own: str, owners: Mapping[str, str]) -> list[str]:
    if own.isdigit():
        return [f"{owners[scope]}{own}"] if scope in owners else [own]
    in_list = re.fullmatch(r"(.*?)s?\.(\d+)", own)
    return [f"{in_list[1]}{in_list[2]}" if in_list else own]


def _operator_label(node: NodeProto) -> str:
    attributes = {attribute.name: attribute for attribute in node.attribute}
    label: str = OPERATOR_LABELS.get(node.op_type, node.op_type.lower())
    if "group" in attributes and attributes["group"].i > 1:
        label = f"depthwise_{label}"
    if "kernel_shape" in attributes:
        label += "x".join(str(size) for size in attributes["kernel_shape"].ints)
    return label


def _joined(parts: Iterable[str]) -> str:
    name = re.sub(r"\W", "_", "_".join(parts)).lower()
    return f"layer_{name}" if name[:1].isdigit() else name


def _first_free(wanted: str, taken: set[str]) -> str:
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    return name


IMAGE_RANK = 4
LAYERS = ("Conv", "ConvTranspose", "Gemm")
LAYER_ROLES = {1: "weight", 2: "bias"}


def store_constants(graph: GraphProto) -> None:
    """Turn Constant nodes into initialisers; drop the Identity nodes between equal constants."""
    replaced: dict[str, str] = {}
    constants = {tensor.name for tensor in graph.initializer}
    for node in list(graph.node):
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensor = graph.initializer.add()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
            constants.add(tensor.name)
            graph.node.remove(node)
        elif node.op_type == "Identity":
            source = replaced.get(node.input[0], node.input[0])
            if source in constants:
                replaced[node.output[0]] = source
                graph.node.remove(node)
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = replaced.get(name, name)


def write_batch_norms_as_convolutions(graph: GraphProto, ranks: Mapping[str, int]) -> None:
    """Replace each BatchNormalization by the depthwise 1x1 convolution that computes the same.

    The exporter has folded those behind a convolution; what is left normalises a sum. y = a*x + b
    with a = scale / sqrt(variance + epsilon) and b = bias - mean * a, computed in double precision.

    Raises:
        UnsupportedModelError: a normalisation of something other than images.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for position, node in enumerate(graph.node):
        if node.op_type != "BatchNormalization":
            continue
        if ranks.get(node.input[0]) != IMAGE_RANK:
            raise UnsupportedModelError(
                f"{node.name}: batch normalisation of vectors cannot be exported. "
                "Normalise before the pooling, or leave it out."
            )
        scale, bias, mean, variance = (
            constants[name].astype(np.float64) for name in node.input[1:]
        )
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        factor = scale / np.sqrt(variance + epsilon)
        weight = factor.reshape(-1, 1, 1, 1).astype(np.float32)
        offset = (bias - mean * factor).astype(np.float32)
        names = (f"{node.name}/weight", f"{node.name}/bias")
        graph.initializer.append(numpy_helper.from_array(weight, names[0]))
        graph.initializer.append(numpy_helper.from_array(offset, names[1]))
        convolution = helper.make_node(
            "Conv",
            [node.input[0], *names],
            [node.output[0]],
            name=node.name,
            group=len(factor),
            kernel_shape=[1, 1],
        )
        graph.node[position].CopyFrom(convolution)


def rename(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Name nodes by `names`, their outputs after them, and give each its own named constants."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    results = {tensor.name for tensor in graph.output}
    tensors: dict[str, str] = {}
    own_constants: list[TensorProto] = []
    for node in graph.node:
        node.name = names[node.name]
        for position, name in enumerate(node.input):
            if name in constants:
                copy = _named_constant(constants[name], node, position)
                own_constants.append(copy)
                node.input[position] = copy.name
            else:
                node.input[position] = tensors.get(name, name)
        for position, name in enumerate(node.output):
            if name not in results:
                tensors[name] = node.name if position == 0 else f"{node.name}_output{position}"
                node.output[position] = tensors[name]
    del graph.initializer[:]
    graph.initializer.extend(own_constants)
    del graph.value_info[:]


def _named_constant(tensor: TensorProto, node: NodeProto, position: int) -> TensorProto:
    copy = TensorProto()
    copy.CopyFrom(tensor)
    roles = LAYER_ROLES if node.op_type in LAYERS else {}
    copy.name = f"{node.name}_{roles.get(position, f'constant{position}')}"
    return copy


OPSET = 18
INPUT = "input"
OUTPUT = "logits"
BATCH = "batch"


def export_onnx(network: nn.Module, input_shape_hwc: tuple[int, int, int], path: Path) -> None:
    """Write `network` in evaluation mode to `path`.

    The file takes `input` float32 [batch, channels, height, width] and returns `logits`
    [batch, classes]; all other sizes are fixed. Batch normalisation is folded into the convolution
    before it, or written as a depthwise 1x1 convolution where there is none. Nodes and tensors are
    named after the network's modules, equally on every export.

    Raises:
        UnsupportedModelError: the network has an operation that ONNX or automcu cannot express.
    """
    model = onnx.load_from_string(_exported(network, input_shape_hwc))
    graph = model.graph
    store_constants(graph)
    names = readable_names(graph.node, network)
    write_batch_norms_as_convolutions(graph, _ranks(model))
    rename(graph, names)
    model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    onnx.checker.check_model(model, full_check=True)
    write_atomically(path, model.SerializeToString())


def _exported(network: nn.Module, input_shape_hwc: tuple[int, int, int]) -> bytes:
    """Run torch's TorchScript exporter.

    The newer torch.export-based one takes tens of times as long for these networks, needs the
    package onnxscript, and leaves batch normalisation and pooling in more general operators.
    """
    height, width, channels = input_shape_hwc
    was_training = network.training
    network.eval()
    try:
        with scratch_folder() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = folder / "exported.onnx"
            torch.onnx.export(
                network,
                (torch.zeros(1, channels, height, width),),
                path,
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=OPSET,
                dynamo=False,
                dynamic_axes={INPUT: {0: BATCH}, OUTPUT: {0: BATCH}},
            )
            return path.read_bytes()
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UnsupportedModelError(
            f"The network cannot be written as ONNX ({reason}). "
            "Use operations that torch.onnx.export supports."
        ) from error
    finally:
        network.train(was_training)


def _ranks(model: ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        tensor.name: len(tensor.type.tensor_type.shape.dim)
        for tensor in (*graph.input, *graph.value_info, *graph.output)
    }
