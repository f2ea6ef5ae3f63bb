"""Find the operators of a QDQ graph that would still compute in floating point."""

from onnx import GraphProto, ModelProto, TensorProto

QUANTISE = "QuantizeLinear"
DEQUANTISE = "DequantizeLinear"
FLOAT_TYPES = frozenset(
    {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
)


def float_islands(model: ModelProto) -> list[str]:
    """Return the names of operators with a float input or output that is not quantised.

    Each operator must take its data from DequantizeLinear and hand it to QuantizeLinear only; what
    the graph returns must be dequantised. Parameters may be constant integers, such as a target
    shape, or single numbers, such as the bounds of a Clip.
    """
    graph = model.graph
    producers = {name: node.op_type for node in graph.node for name in node.output}
    consumers: dict[str, set[str]] = {tensor.name: {"output"} for tensor in graph.output}
    for node in graph.node:
        for name in node.input:
            consumers.setdefault(name, set()).add(node.op_type)
    parameters = _parameters(graph)

    def takes_quantised(name: str) -> bool:
        return not name or name in parameters or producers.get(name) == DEQUANTISE

    return [
        node.name
        for node in graph.node
        if node.op_type not in (QUANTISE, DEQUANTISE)
        and not (
            all(takes_quantised(name) for name in node.input)
            and all(consumers.get(name) == {QUANTISE} for name in node.output)
        )
    ]


def _parameters(graph: GraphProto) -> set[str]:
    return {
        tensor.name
        for tensor in graph.initializer
        if tensor.data_type not in FLOAT_TYPES or not tensor.dims
    }
