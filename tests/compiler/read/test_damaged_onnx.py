"""Damaged and hostile files: always one of our errors, never another, a hang or all memory."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from automcu.compiler import import_onnx
from automcu.compiler.graph import Graph
from tests.quantised_networks import quantised_file, random_images

NASTY_INTEGERS = (
    0,
    -1,
    1,
    2,
    3,
    7,
    255,
    1 << 15,
    (1 << 31) - 1,
    -(1 << 31),
    1 << 40,
    (1 << 63) - 1,
)
NASTY_REALS = (0.0, -1.0, 1e-45, 3.4e38, float("inf"), float("-inf"), float("nan"))
attempts = settings(
    max_examples=200,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small file with layers of many kinds."""
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, groups=4),
        nn.MaxPool2d(2, padding=1),
        nn.AvgPool2d(2, stride=1, padding=1),
        nn.Sigmoid(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
        nn.Softmax(dim=1),
    )
    images = random_images((4, 6, 6, 1))
    return quantised_file(network, images, tmp_path_factory.mktemp("whole")).read_bytes()


@pytest.fixture
def importer() -> Callable[[Path], Graph]:
    return import_onnx


def test_the_whole_file_compiles(whole: bytes, survives: Callable[[bytes], bool]) -> None:
    assert survives(whole)


@attempts
@given(data=st.data())
def test_a_truncated_file_is_an_error(
    whole: bytes, survives: Callable[[bytes], bool], data: st.DataObject
) -> None:
    assert not survives(whole[: data.draw(st.integers(0, len(whole) // 2))])


@attempts
@given(noise=st.binary(max_size=200))
def test_noise_is_an_error(noise: bytes, survives: Callable[[bytes], bool]) -> None:
    assert not survives(noise)


@attempts
@given(data=st.data())
def test_changed_bytes_end_in_a_program_or_in_our_own_error(
    whole: bytes, survives: Callable[[bytes], bool], data: st.DataObject
) -> None:
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(("replace", "insert", "remove", "repeat"))):
            case "replace":
                content[place] = data.draw(st.integers(0, 255))
            case "insert":
                content[place:place] = data.draw(st.binary(min_size=1, max_size=9))
            case "remove":
                del content[place : place + data.draw(st.integers(1, 40))]
            case _:
                end = place + data.draw(st.integers(1, 400))
                content[place:place] = content[place:end]
    assert survives(bytes(content)) in (True, False)


@attempts
@given(data=st.data())
def test_changed_meanings_end_in_a_program_or_in_our_own_error(
    whole: bytes, survives: Callable[[bytes], bool], data: st.DataObject
) -> None:
    model = onnx.load_from_string(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        change = data.draw(st.sampled_from(CHANGES))
        change(model.graph, data)
    assert survives(model.SerializeToString()) in (True, False)


def _node(graph: Any, data: st.DataObject) -> Any:
    return data.draw(st.sampled_from(list(graph.node)))


def _remove_node(graph: Any, data: st.DataObject) -> None:
    if len(graph.node) > 1:
        graph.node.remove(_node(graph, data))


def _repeat_node(graph: Any, data: st.DataObject) -> None:
    graph.node.append(_node(graph, data))


def _move_node(graph: Any, data: st.DataObject) -> None:
    node = _node(graph, data)
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    graph.node.remove(node)
    graph.node.insert(data.draw(st.integers(0, len(graph.node))), copy)


def _rewire(graph: Any, data: st.DataObject) -> None:
    node = _node(graph, data)
    names = sorted({name for other in graph.node for name in (*other.input, *other.output)})
    if node.input:
        place = data.draw(st.integers(0, len(node.input) - 1))
        node.input[place] = data.draw(st.sampled_from([*names, "", "nowhere"]))


def _drop_input(graph: Any, data: st.DataObject) -> None:
    node = _node(graph, data)
    if node.input:
        del node.input[data.draw(st.integers(0, len(node.input) - 1))]


def _rename_kind(graph: Any, data: st.DataObject) -> None:
    kinds = ("Conv", "Gemm", "MatMul", "Add", "Mul", "Relu", "Clip", "MaxPool", "AveragePool")
    others = ("Concat", "Reshape", "Transpose", "Softmax", "ReduceMean", "Pad", "Slice", "Resize")
    more = ("Split", "Gather", "Squeeze", "Constant", "Cast", "Identity", "NoSuchOperator")
    _node(graph, data).op_type = data.draw(st.sampled_from((*kinds, *others, *more)))


def _change_attribute(graph: Any, data: st.DataObject) -> None:
    node = _node(graph, data)
    names = ("kernel_shape", "strides", "pads", "dilations", "group", "axis", "axes", "auto_pad")
    name = data.draw(
        st.sampled_from((*names, "ceil_mode", "transB", "perm", "alpha", "to", "mode"))
    )
    for old in [attribute for attribute in node.attribute if attribute.name == name]:
        node.attribute.remove(old)
    nasty = st.sampled_from(NASTY_INTEGERS)
    values = st.one_of(
        nasty,
        st.sampled_from(NASTY_REALS),
        st.lists(nasty, max_size=5),
        st.sampled_from(("", "SAME_UPPER", "VALID", "nonsense")),
    )
    value = data.draw(values)
    if value != []:
        node.attribute.append(onnx.helper.make_attribute(name, value))


def _change_array(graph: Any, data: st.DataObject) -> None:
    array = data.draw(st.sampled_from(list(graph.initializer)))
    match data.draw(st.sampled_from(("shape", "type", "content", "values", "name"))):
        case "shape":
            del array.dims[:]
            array.dims.extend(data.draw(st.lists(st.sampled_from(NASTY_INTEGERS), max_size=5)))
        case "type":
            array.data_type = data.draw(st.integers(0, 30))
        case "content":
            array.raw_data = data.draw(st.binary(max_size=40))
        case "values":
            values = data.draw(st.lists(st.sampled_from(NASTY_REALS), min_size=1, max_size=4))
            array.CopyFrom(onnx.helper.make_tensor(array.name, 1, [len(values)], values))
        case _:
            array.name = data.draw(st.sampled_from(("", "input", "logits", array.name * 2)))


def _change_input(graph: Any, data: st.DataObject) -> None:
    sizes = graph.input[0].type.tensor_type.shape.dim
    chosen = data.draw(st.sampled_from(NASTY_INTEGERS))
    data.draw(st.sampled_from(list(sizes))).dim_value = chosen


CHANGES = (
    _remove_node,
    _repeat_node,
    _move_node,
    _rewire,
    _drop_input,
    _rename_kind,
    _change_attribute,
    _change_attribute,
    _change_array,
    _change_array,
    _change_input,
)
