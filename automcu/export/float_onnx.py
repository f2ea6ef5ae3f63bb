"""From a torch network to a float ONNX file: the seam between training and compiling."""

import warnings
from pathlib import Path

import onnx
import torch
from onnx import ModelProto
from torch import nn

from automcu.errors import UnsupportedModelError
from automcu.export.node_names import readable_names
from automcu.export.tidy import rename, store_constants, write_batch_norms_as_convolutions
from automcu.records import scratch_folder, write_atomically

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
