"""Bring an exported graph to the few operators and the plain form that the compiler reads."""

from collections.abc import Mapping

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from automcu.errors import UnsupportedModelError

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
