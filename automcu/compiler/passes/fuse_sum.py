"""A convolution adds its result onto the other operand of a sum, in that operand's memory."""

from dataclasses import replace

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.ops import Add, Convolution
from automcu.compiler.ops.add import is_wide


def fuse_sums(graph: Graph) -> Graph:
    """Fuse each addition with a convolution whose result only it reads."""
    for addition in graph.operators:
        if not isinstance(addition.attributes, Add) or addition.attributes.sign < 0:
            continue
        if _is_wide(addition, graph):
            continue
        convolution = _fusable_operand(addition, graph)
        if convolution is None:
            continue
        other = _other_operand(addition, convolution.output)
        fused = _fuse(convolution, addition, other, graph)
        graph = graph.with_operators(
            # The sum takes the addition's place: by then both operands have been computed.
            fused if op is addition else op
            for op in graph.operators
            if op is not convolution
        )
    return graph


def _is_wide(addition: Operator, graph: Graph) -> bool:
    """Whether the sum takes arithmetic that convolutions do not have."""
    first, second, result = (
        graph.tensors[name].quantisation for name in (*addition.inputs, addition.output)
    )
    if first is None or second is None or result is None:
        return False
    return is_wide(first, second, result)


def _fusable_operand(addition: Operator, graph: Graph) -> Operator | None:
    if addition.inputs[0] == addition.inputs[1]:
        return None
    candidates = []
    for name in addition.inputs:
        producer = graph.producer(name)
        if (
            producer is not None
            and isinstance(producer.attributes, Convolution)
            and producer.attributes.sum_scale is None
            and len(graph.consumers(name)) == 1
            and name != graph.output
        ):
            candidates.append(producer)
    # The last operand, as a chain of sums names its newest term last. The order of the file has no
    # say, so that two files that hold one network become one program.
    return candidates[-1] if candidates else None


def _other_operand(addition: Operator, name: str) -> str:
    first, second = addition.inputs
    return second if first == name else first


def _fuse(convolution: Operator, addition: Operator, other: str, graph: Graph) -> Operator:
    assert isinstance(convolution.attributes, Convolution)
    assert isinstance(addition.attributes, Add)
    direct = graph.tensors[convolution.output].quantisation
    assert direct is not None, "clamps are fused before sums, so every tensor is quantised"
    attributes = replace(
        convolution.attributes,
        sum_scale=direct.scale,
        sum_zero_point=direct.zero_point,
        sum_clamp=addition.attributes.clamp,
    )
    return Operator(convolution.name, (convolution.inputs[0], other), addition.output, attributes)
