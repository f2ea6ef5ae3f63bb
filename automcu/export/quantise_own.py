"""Post-training quantisation of a float ONNX file that somebody else made."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
    numpy_helper,
    version_converter,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from automcu.compiler.read.file_tensor import read_content
from automcu.compiler.read.onnx import is_known, read_model
from automcu.compiler.read.tflite import IDENTIFIER
from automcu.errors import UnsupportedModelError, WrongInputError, with_article
from automcu.export.float_onnx import store_constants
from automcu.export.insert_quantisation import BYTES, PIXELS, Range, insert_quantisation
from automcu.export.quantise import DEQUANTISE, QUANTISE, quiet_onnxruntime
from automcu.records import no_such_file, scratch_folder, write_atomically

_PER_CHANNEL_OPSET = 13
"""Since this version of the operators a scale can be one per channel."""

_HIDDEN = "automcu.hidden"
"""A domain of operators that onnx's converter leaves alone."""

_TARGET_OPSET = 17
_FLOAT = "tensor(float)"
_SCALINGS = {"Div": 255.0, "Mul": 1 / 255}
"""What brings a byte into [0, 1]."""


@dataclass(frozen=True)
class OwnModel:
    """A float file, read for a batch of one: its input's name, and shape without the batch."""

    path: Path
    model: ModelProto
    input_name: str
    input_shape: tuple[int, ...]

    @property
    def ends_in_softmax(self) -> bool:
        """Whether the output is probabilities."""
        producers = {name: node for node in self.model.graph.node for name in node.output}
        node = producers.get(self.model.graph.output[0].name)
        while node is not None and node.op_type in ("Identity", "Reshape", "Flatten", "Squeeze"):
            node = producers.get(node.input[0])
        return node is not None and node.op_type == "Softmax"

    @property
    def takes_bytes(self) -> bool:
        """Whether the model itself brings pixels of 0 to 255 into [0, 1]."""
        constants = {t.name: numpy_helper.to_array(t) for t in self.model.graph.initializer}
        for node in self.model.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            if node.op_type in _SCALINGS and node.input[0] == self.input_name:
                factor = constants.get(node.input[1])
                wanted = _SCALINGS[node.op_type]
                return factor is not None and bool(np.allclose(factor, wanted, rtol=1e-3))
        return False

    def outputs(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The float model's output [n, ...] for inputs in its layout, computed one by one."""
        with quiet_onnxruntime():
            session = _session(self.model, self.path)
            return np.concatenate(
                [
                    session.run(None, {self.input_name: inputs[i : i + 1]})[0]
                    for i in range(len(inputs))
                ]
            ).reshape(len(inputs), -1)


def read_own(path: Path) -> OwnModel:
    """Read what a float file takes.

    Raises:
        WrongInputError: there is no such file.
        UnsupportedModelError: it is damaged, quantised already, or takes anything but one float
            tensor of fixed size.
    """
    if not path.is_file():
        raise WrongInputError(f"{no_such_file(path, 'model file')} Give a float .onnx file.")
    if read_content(path)[4:8] == IDENTIFIER:
        raise UnsupportedModelError(
            f"{path} is a TFLite file; --calibrate quantises float ONNX files. Convert the model "
            "with full integer quantisation (TFLITE_BUILTINS_INT8, a representative dataset)."
        )
    model = read_model(path)
    graph = model.graph
    if any(node.op_type in (QUANTISE, DEQUANTISE) for node in graph.node):
        raise UnsupportedModelError(f"{path} is quantised already. Leave out --calibrate.")
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [tensor for tensor in graph.input if tensor.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(tensor.name for tensor in inputs) or "none"
        raise UnsupportedModelError(
            f"{path} must take one tensor; its inputs are: {names}. Export it with one input."
        )
    kind = inputs[0].type.tensor_type.elem_type
    if kind != TensorProto.FLOAT:
        raise UnsupportedModelError(
            f"the input {inputs[0].name} of {path} is of type {_type_name(kind)}. "
            "Export the model with a float32 input."
        )
    dims = inputs[0].type.tensor_type.shape.dim
    batch, *shape = [size.dim_value for size in dims] or [0]
    if any(size.HasField("dim_value") and size.dim_value == 0 for size in dims[1:]):
        raise UnsupportedModelError(
            f"the input {inputs[0].name} of {path} has the shape {[batch, *shape]}, which holds no "
            "values. Export it with the sizes that the network takes."
        )
    if not shape or min(shape) < 1:
        raise UnsupportedModelError(
            f"the input {inputs[0].name} of {path} has no fixed size. Export it with fixed sizes."
        )
    if batch > 1:
        raise UnsupportedModelError(
            f"{path} takes {batch} inputs at once; a board computes one. "
            "Export it with a batch size of 1, or an open one."
        )
    del graph.input[:]
    graph.input.append(inputs[0])
    return OwnModel(path, _for_one_input(model), inputs[0].name, tuple(shape))


def quantise_own(
    model: OwnModel, inputs: NDArray[np.float32], pixels: bool, quantised_path: Path
) -> None:
    """Quantise to int8 in QuantizeLinear/DequantizeLinear form.

    `inputs` are as the model takes them, some hundred of what it will see; with `pixels` they are
    images in [0, 1], or in 0 to 255 where the model takes bytes.

    Raises:
        UnsupportedModelError: onnxruntime cannot run the file, or it computes what is not finite.
    """
    with quiet_onnxruntime():
        prepared = _prepared(model)
        ranges = _ranges(prepared, model, inputs)
        scale = (BYTES if model.takes_bytes else PIXELS) if pixels else None
        insert_quantisation(prepared.graph, ranges, scale)
    write_atomically(quantised_path, prepared.SerializeToString())


def _for_one_input(model: ModelProto) -> ModelProto:
    """The model with a batch of one, so that sizes computed from it are constants."""
    (value,) = model.graph.input
    value.type.tensor_type.shape.dim[0].Clear()
    value.type.tensor_type.shape.dim[0].dim_value = 1
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return model


def _prepared(own: OwnModel) -> ModelProto:
    """The graph with batch normalisations folded and constants computed, in a recent opset."""
    _session(own.model, own.path)  # which onnxruntime's tool would log a traceback of
    model = ModelProto()
    model.CopyFrom(own.model)
    with scratch_folder() as folder:
        folded = folder / "folded.onnx"
        try:
            onnx.save(_in_recent_opset(model), folded)
            quant_pre_process(str(folded), str(folded), skip_symbolic_shape=True)
            prepared = onnx.load(folded)
        except Exception as error:
            raise UnsupportedModelError(
                f"{own.path} cannot be prepared for quantisation: onnxruntime says "
                f"{_first_line(error)!r}. Export it again, with another opset."
            ) from error
    store_constants(prepared.graph)
    _name_nodes(prepared.graph)
    _write_plain_products(prepared.graph)
    return prepared


def _in_recent_opset(model: ModelProto) -> ModelProto:
    """The model in a version of the operators in which a scale can be one per channel."""
    version = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if version >= _PER_CHANNEL_OPSET:
        return model
    upsamples = [node for node in model.graph.node if node.op_type == "Upsample"]
    for node in upsamples:  # the converter refuses what a later version calls Resize
        node.domain = _HIDDEN
    model.opset_import.append(helper.make_opsetid(_HIDDEN, 1))
    converted = version_converter.convert_version(model, _TARGET_OPSET)
    for node in converted.graph.node:
        if node.domain == _HIDDEN:
            _write_as_resize(node, converted.graph)
    return converted


def _write_as_resize(node: NodeProto, graph: GraphProto) -> None:
    settings = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    scales = node.input[1] if len(node.input) > 1 else ""
    if "scales" in settings:
        scales = _store(graph, f"{node.output[0]}_scales", np.float32(settings["scales"]))
    resize = helper.make_node(
        "Resize",
        [node.input[0], "", scales],
        node.output,
        node.name,
        mode=settings.get("mode", b"nearest"),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    node.CopyFrom(resize)


def _name_nodes(graph: GraphProto) -> None:
    for index, node in enumerate(graph.node):
        node.name = node.name or f"{node.op_type}_{index}"


def _write_plain_products(graph: GraphProto) -> None:
    """Write each Gemm as y = x W + b: alpha and beta in its constants, the bias a vector."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[NodeProto] = []
    for node in graph.node:
        nodes.extend(_plain_product(node, graph, constants) if node.op_type == "Gemm" else (node,))
    del graph.node[:]
    graph.node.extend(nodes)


def _plain_product(
    node: NodeProto, graph: GraphProto, constants: dict[str, NDArray[np.generic]]
) -> Iterator[NodeProto]:
    settings = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    alpha, beta = float(settings.get("alpha", 1.0)), float(settings.get("beta", 1.0))
    weights = constants.get(node.input[1])
    bias = constants.get(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if weights is None:
        yield node
        return
    name, names = node.name, list(node.input)
    columns = weights.shape[0 if settings.get("transB", 0) else 1]
    if settings.get("transA", 0):
        names[0] = f"{name}_transposed"
        yield helper.make_node("Transpose", [node.input[0]], names[:1], f"{name}_transpose")
    names[1] = _store(
        graph, f"{name}_scaled_weight", np.asarray(weights, np.float32) * np.float32(alpha)
    )
    if bias is not None and bias.size in (1, columns) and bias.shape[-1:] in ((), (1,), (columns,)):
        vector = np.broadcast_to(bias.reshape(-1), (columns,)) * np.float32(beta)
        names[2] = _store(graph, f"{name}_scaled_bias", vector)
    attributes = {"transB": int(settings.get("transB", 0))}
    addend = names[2] if len(names) > 2 and names[2] == node.input[2] else ""
    if not addend:
        yield helper.make_node("Gemm", names, node.output, name, **attributes)
        return
    product = f"{name}_product"
    yield helper.make_node("Gemm", names[:2], [product], name, **attributes)
    if beta != 1:
        factor = _store(graph, f"{name}_beta", np.float32(beta))
        yield helper.make_node("Mul", [addend, factor], [f"{name}_addend"], f"{name}_scale")
        addend = f"{name}_addend"
    yield helper.make_node("Add", [product, addend], node.output, f"{name}_add")


def _store(graph: GraphProto, name: str, values: NDArray[np.generic] | np.generic) -> str:
    array = np.ascontiguousarray(np.asarray(values, np.float32))
    graph.initializer.append(numpy_helper.from_array(array.reshape(np.shape(values)), name))
    return name


def _ranges(model: ModelProto, own: OwnModel, inputs: NDArray[np.float32]) -> dict[str, Range]:
    """The least and the largest of each float value that depends on the input.

    Raises:
        UnsupportedModelError: one is not finite.
    """
    observed = ModelProto()
    observed.CopyFrom(model)
    producers = {name: node for node in model.graph.node for name in node.output}
    del observed.graph.output[:]
    names = list(_depending(model.graph, own.input_name))
    observed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session = _session(observed, own.path)
    names = [output.name for output in session.get_outputs() if output.type == _FLOAT]
    least, largest = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    for index in range(len(inputs)):
        values = session.run(names, {own.input_name: inputs[index : index + 1]})
        least = np.minimum(least, [value.min() for value in values])
        largest = np.maximum(largest, [value.max() for value in values])
    for name, low, high in zip(names, least, largest, strict=True):
        if not np.isfinite(low + high):
            raise UnsupportedModelError(
                f"layer {producers[name].name} ({producers[name].op_type}) of the float model "
                "gives values that are not finite on this data. Give data that it was made for."
            )
    ranges = dict(zip(names, zip(least.tolist(), largest.tolist(), strict=True), strict=True))
    return {own.input_name: (float(inputs.min()), float(inputs.max())), **ranges}


def _depending(graph: GraphProto, input_name: str) -> Iterable[str]:
    """The values that are computed from the input, in the order of the graph."""
    known = {input_name}
    for node in graph.node:
        if known.intersection(node.input):
            for name in node.output:
                if name:
                    known.add(name)
                    yield name


def _session(model: ModelProto, path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        for index, node in enumerate(model.graph.node):
            if not is_known(node.op_type):
                raise UnsupportedModelError(
                    f"layer {node.name or f'{node.op_type}_{index}'} is "
                    f"{with_article(node.op_type)}, which cannot be compiled. "
                    "The page docs/models.md lists what can be."
                ) from error
        raise UnsupportedModelError(
            f"{path} cannot be opened by onnxruntime, which says {_first_line(error)!r}. "
            "Export the network again."
        ) from error


def _type_name(kind: int) -> str:
    return TensorProto.DataType.Name(kind).lower() if kind in TensorProto.DataType.values() else "?"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
