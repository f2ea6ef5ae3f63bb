"""What a user reads when a file cannot be compiled: what is wrong, where, and the next step."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic
from torch import nn

from automcu.compiler import compile_graph, import_onnx, render_model
from automcu.errors import UnsupportedModelError, WrongInputError
from automcu.mcu import Device
from tests.quantised_networks import quantised_file, random_images

Change = Callable[[Any], None]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with float.onnx and quantised.onnx of one small network."""
    folder = tmp_path_factory.mktemp("files")
    layers = (nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(16, 3))
    quantised_file(nn.Sequential(*layers), random_images((4, 6, 6, 1)), folder)
    return folder


def message_for(path: Path) -> str:
    """The error of a file that cannot be compiled: two sentences, the last one the next step."""
    with pytest.raises(UnsupportedModelError) as caught:
        import_onnx(path)
    assert caught.value.exit_code == 2
    assert len(str(caught.value).split(". ")) > 1, caught.value
    return str(caught.value)


def first(graph: Any, kind: str) -> Any:
    return next(node for node in graph.node if node.op_type == kind)


def constant(graph: Any, name: str) -> Any:
    return next(array for array in graph.initializer if array.name == name)


def sizes(graph: Any) -> Any:
    return graph.input[0].type.tensor_type.shape.dim


def _add_input(graph: Any) -> None:
    graph.input.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, [1, 3]))


def _add_output(graph: Any) -> None:
    graph.output.append(helper.make_tensor_value_info("conv3x3", TensorProto.FLOAT, None))


def _make_height_dynamic(graph: Any) -> None:
    sizes(graph)[2].dim_param = "height"


def _make_batch_of_eight(graph: Any) -> None:
    sizes(graph)[0].dim_value = 8


def _use_unknown_operator(graph: Any) -> None:
    first(graph, "Flatten").op_type = "NonMaxSuppression"


def _use_recurrent_operator(graph: Any) -> None:
    first(graph, "Flatten").op_type = "LSTM"


def _keep_weights_elsewhere(graph: Any) -> None:
    array = graph.initializer[0]
    array.data_location = TensorProto.EXTERNAL


def _quantise_to_16_bits(graph: Any) -> None:
    name = first(graph, "QuantizeLinear").input[2]
    constant(graph, name).CopyFrom(numpy_helper.from_array(np.array(0, np.int16), name))


def _scale_each_channel(graph: Any) -> None:
    name = first(graph, "QuantizeLinear").input[1]
    constant(graph, name).CopyFrom(numpy_helper.from_array(np.ones(4, np.float32), name))


def _make_scale_negative(graph: Any) -> None:
    name = first(graph, "QuantizeLinear").input[1]
    constant(graph, name).CopyFrom(numpy_helper.from_array(np.float32(-1), name))


def _read_what_nothing_computes(graph: Any) -> None:
    first(graph, "Flatten").input[0] = "elsewhere"


def _shrink_image(graph: Any) -> None:
    sizes(graph)[2].dim_value = sizes(graph)[3].dim_value = 2


def _enlarge_image(graph: Any) -> None:
    sizes(graph)[2].dim_value = sizes(graph)[3].dim_value = 1 << 14


def _damage_weights(graph: Any) -> None:
    graph.initializer[-1].dims[:] = [1 << 40, 7]


MESSAGES: dict[str, tuple[Change, str]] = {
    "two inputs": (_add_input, "has 2 inputs. Export it with one"),
    "two outputs": (_add_output, "has 2 outputs. Export it with one"),
    "a height that varies": (_make_height_dynamic, "with static sizes"),
    "a batch of eight": (_make_batch_of_eight, "Export it as"),
    "an unknown operator": (_use_unknown_operator, "layer flatten is a NonMaxSuppression"),
    "a recurrent layer": (_use_recurrent_operator, "Use 1-D convolutions"),
    "weights in another file": (_keep_weights_elsewhere, "Save it as a single file"),
    "activations of 16 bits": (_quantise_to_16_bits, "int8 or uint8"),
    "activations quantised per channel": (_scale_each_channel, "per tensor"),
    "a negative scale": (_make_scale_negative, "Quantise the model again"),
    "a layer that reads what nothing computes": (_read_what_nothing_computes, "'elsewhere'"),
    "an image smaller than a window": (_shrink_image, "Use a larger input resolution"),
    "an image that no board holds": (_enlarge_image, "Use a smaller input"),
    "a damaged array": (_damage_weights, "damaged array"),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_a_file_that_cannot_be_compiled_is_refused_with_the_reason(
    case: str, files: Path, tmp_path: Path
) -> None:
    change, expected = MESSAGES[case]
    model = onnx.load(files / "quantised.onnx")
    change(model.graph)
    (tmp_path / "changed.onnx").write_bytes(model.SerializeToString())
    assert expected in message_for(tmp_path / "changed.onnx")


def test_a_float_model_is_to_be_quantised_first(files: Path) -> None:
    assert "automcu compile MODEL --calibrate DATA" in message_for(files / "float.onnx")


def test_a_model_that_is_quantised_as_it_runs_is_distinguished(files: Path, tmp_path: Path) -> None:
    quantize_dynamic(files / "float.onnx", tmp_path / "dynamic.onnx")
    message = message_for(tmp_path / "dynamic.onnx")
    assert "is quantised as it runs" in message
    assert "--calibrate DATA" in message


def test_a_model_that_only_passes_its_input_on_is_refused(tmp_path: Path) -> None:
    scale = [
        numpy_helper.from_array(np.float32(0.1), "scale"),
        numpy_helper.from_array(np.int8(0), "zero"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy"]
    graph = helper.make_graph(nodes, "nothing", ends[:1], ends[1:], scale)
    onnx.save(helper.make_model(graph), tmp_path / "nothing.onnx")
    assert "computes nothing" in message_for(tmp_path / "nothing.onnx")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "holds no layers"),
        (b"This is a text about ONNX.", "is not an ONNX file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "is not an ONNX file"),
    ],
)
def test_another_kind_of_file_is_reported_as_such(
    content: bytes, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "other.onnx").write_bytes(content)
    assert expected in message_for(tmp_path / "other.onnx")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(WrongInputError, match=rf"{path} cannot be read .*\. Check its name"):
            import_onnx(path)


def test_a_file_beyond_any_small_board_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(WrongInputError, match="larger than 64 MB"):
        import_onnx(path)


def test_layer_names_cannot_write_c(files: Path, tmp_path: Path, portable_device: Device) -> None:
    model = onnx.load(files / "quantised.onnx")
    for node in model.graph.node:
        node.name = f"{node.name} */ #hostile {{ \\ \n /* é"
    (tmp_path / "named.onnx").write_bytes(model.SerializeToString())
    program = compile_graph(import_onnx(tmp_path / "named.onnx"), portable_device)
    text = render_model(program)["model.c"]
    assert "#hostile" not in text
    assert text.isascii()
