"""Output shapes and multiply-accumulates of operators."""

from automcu.compiler.graph import Graph, Operator, Shape
from automcu.compiler.operators import Add, Attributes, AveragePool, Convolution, MaxPool, Rescale
from automcu.compiler.operators.convolution import multiply_accumulates


def output_shape(attributes: Attributes, input_shape: Shape) -> Shape:
    """Shape of the result for a first input of `input_shape`."""
    height, width, channels = input_shape
    match attributes:
        case Convolution():
            return (*attributes.window.output_size(height, width), attributes.out_channels)
        case AveragePool() | MaxPool():
            return (*attributes.window.output_size(height, width), channels)
        case Add() | Rescale():
            return input_shape


def operator_macs(operator: Operator, graph: Graph) -> int:
    """Multiply-accumulates of one inference; only convolutions have any."""
    if not isinstance(operator.attributes, Convolution):
        return 0
    attributes = operator.attributes
    height, width, _ = graph.tensors[operator.output].shape
    in_channels = graph.tensors[operator.inputs[0]].shape[2]
    return multiply_accumulates(
        attributes.window, in_channels, height * width, attributes.out_channels, attributes.groups
    )


def operator_title(operator: Operator, graph: Graph) -> str:
    """What a person calls the operator: `conv 3x3`, `fully connected`, `add`, ..."""
    match operator.attributes:
        case Convolution() as attributes:
            in_shape = graph.tensors[operator.inputs[0]].shape
            size = f"{attributes.window.height}x{attributes.window.width}"
            if attributes.groups == in_shape[2] and attributes.groups > 1:
                name = f"depthwise {size}"
            elif in_shape[:2] == (1, 1):
                name = "fully connected"
            else:
                name = f"conv {size}"
            return name + (" + add" if attributes.sum_scale is not None else "")
        case AveragePool(window=window):
            return f"average pool {window.height}x{window.width}"
        case MaxPool(window=window):
            return f"max pool {window.height}x{window.width}"
        case Add(sign=sign):
            return "add" if sign > 0 else "subtract"
        case Rescale():
            return "rescale"
