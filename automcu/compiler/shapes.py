"""Output shapes and multiply-accumulates of operators."""

from automcu.compiler.graph import Graph, Operator, Shape
from automcu.compiler.ops import Attributes, definition_of


def output_shape(attributes: Attributes, *input_shapes: Shape) -> Shape:
    """Shape of the result for inputs of these shapes.

    Raises:
        ValueError: the shapes do not go together.
    """
    return definition_of(attributes).output_shape(attributes, input_shapes)


def operator_macs(operator: Operator, graph: Graph) -> int:
    """Multiply-accumulates of one inference; only convolutions have any."""
    return definition_of(operator.attributes).multiply_accumulates(
        operator.attributes,
        graph.tensors[operator.inputs[0]].shape,
        graph.tensors[operator.output].shape,
    )


def operator_title(operator: Operator, graph: Graph) -> str:
    """What a person calls the operator: `conv 3x3`, `fully connected`, `add`, ..."""
    return definition_of(operator.attributes).title(
        operator.attributes, graph.tensors[operator.inputs[0]].shape
    )
