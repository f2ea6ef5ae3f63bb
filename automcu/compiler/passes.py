"""Rewrites of the graph, each from graph to graph; `optimise` runs them in order."""

from dataclasses import replace

import numpy as np

from automcu.compiler.graph import Attributes, Graph, Operator, run_operator
from automcu.compiler.ops.arithmetic import Add, is_wide_sum
from automcu.compiler.ops.movement import Pad, Rearrange
from automcu.compiler.ops.pointwise import ALL_INPUTS, Lookup, Rescale


def remove_dead_operators(graph: Graph) -> Graph:
    """Keep what lies on a path to the graph's output."""
    needed = {graph.output}
    kept: list[Operator] = []
    for operator in reversed(graph.operators):
        if operator.output in needed:
            needed.update(operator.inputs)
            kept.append(operator)
    return graph.with_operators(reversed(kept))


def drop_reshapes(graph: Graph) -> Graph:
    """Remove operators that move nothing where a tensor's shape is free to choose.

    That is so at the network's input and output: the tensor takes the shape it is read with.
    """
    for name in [operator.name for operator in graph.operators]:
        operator = next(operator for operator in graph.operators if operator.name == name)
        if isinstance(operator.attributes, Rearrange):
            source = graph.tensors[operator.inputs[0]]
            if operator.attributes.moves_nothing(source.shape):
                graph = _without_reshape(operator, operator.attributes, graph)
    return graph


def _without_reshape(operator: Operator, attributes: Rearrange, graph: Graph) -> Graph:
    source = graph.tensors[operator.inputs[0]]
    others = [other for other in graph.operators if other is not operator]
    if operator.output == graph.output and source.name != graph.input:
        return replace(graph, output=source.name).with_operators(others)
    if source.name != graph.input or len(graph.consumers(source.name)) > 1 or not others:
        return graph
    reshaped = replace(source, shape=attributes.shape)
    graph = replace(graph, tensors={**graph.tensors, source.name: reshaped})
    return graph.with_operators(
        replace(
            other,
            inputs=tuple(source.name if name == operator.output else name for name in other.inputs),
        )
        for other in others
    )


def fuse_clamps(graph: Graph) -> Graph:
    """ReLU and other clamps whose input nothing else reads go into what produces it.

    Where that one takes no clamp and its result has no scale of its own, it gets that of the
    clamp's result: there, rounding before the clamp or behind it is the same.
    """
    for rescale in graph.operators:
        if not isinstance(rescale.attributes, Rescale):
            continue
        producer = graph.producer(rescale.inputs[0])
        if producer is None or len(graph.consumers(producer.output)) > 1:
            continue
        if producer.output == graph.output:
            continue
        between, result = (graph.tensors[op.output].quantisation for op in (producer, rescale))
        if between not in (None, result):
            continue  # the file rounds and saturates twice, on two scales: so do we
        clamped = producer.attributes.with_clamp(rescale.attributes.clamp)
        if clamped is not None:
            fused = replace(producer, attributes=clamped, output=rescale.output)
            graph = graph.with_operators(
                fused if op is producer else op for op in graph.operators if op is not rescale
            )
        elif between is None and result is not None:
            tensor = replace(graph.tensors[producer.output], quantisation=result)
            graph = replace(graph, tensors={**graph.tensors, tensor.name: tensor})
    return graph


def drop_clamps(graph: Graph) -> Graph:
    """Remove clamps that int8 makes by itself: a ReLU whose result starts at -128 needs no code."""
    return graph.with_operators(_without_idle_clamp(op, graph) for op in graph.operators)


def _without_idle_clamp(operator: Operator, graph: Graph) -> Operator:
    quantisation = graph.tensors[operator.output].quantisation
    if quantisation is None:
        return operator
    return replace(operator, attributes=operator.attributes.without_idle_clamp(quantisation))


def fuse_lookups(graph: Graph) -> Graph:
    """Functions of one tensor, element by element, become one table, whatever they are made of.

    A hard-swish that a file spells as add, clip, multiply, multiply is a function of one int8
    value. The table is what the operators compute for each of the 256 values, so it changes no
    result. It takes the place of a group of operators whose results nothing else reads; a group
    without any table is left alone: sums and clamps need no flash.
    """
    for last in reversed(graph.operators):
        if last not in graph.operators or not last.attributes.is_elementwise:
            continue
        group = _group(last, graph)
        has_table = any(isinstance(operator.attributes, Lookup) for operator in group)
        if len(group) > 1 and has_table:
            table = _table_of(group, graph)
            graph = graph.with_operators(
                table if operator is last else operator
                for operator in graph.operators
                if operator is last or not any(operator is member for member in group)
            )
    return graph


def _group(last: Operator, graph: Graph) -> list[Operator]:
    """Operators that make `last` a function of one tensor, in order; just `last` if none do."""
    group, best = [last], [last]
    while True:
        outside = _outside(group)
        if len(outside) == 1:
            best = list(group)
        producer = next((p for name in outside if (p := _absorbable(name, group, graph))), None)
        if producer is None:
            is_function = len(_outside(best)) == 1
            return sorted(best, key=graph.operators.index) if is_function else [last]
        group.append(producer)


def _outside(group: list[Operator]) -> list[str]:
    """Tensors that the group reads and does not compute."""
    inside = {operator.output for operator in group}
    return sorted({name for op in group for name in op.inputs if name not in inside})


def _absorbable(name: str, group: list[Operator], graph: Graph) -> Operator | None:
    """The element-wise producer of a tensor that only the group reads."""
    producer = graph.producer(name)
    if producer is None or not producer.attributes.is_elementwise:
        return None
    if name == graph.output or graph.tensors[name].quantisation is None:
        return None
    if any(all(reader is not member for member in group) for reader in graph.consumers(name)):
        return None
    sizes = {graph.tensors[source].shape for source in (*producer.inputs, name)}
    return producer if len(sizes) == 1 else None


def _table_of(group: list[Operator], graph: Graph) -> Operator:
    """One table for the group."""
    last = group[-1]
    (root,) = _outside(group)
    name = " + ".join(operator.title(graph) for operator in group)
    has_values = all(
        operator.attributes.table is not None
        for operator in group
        if isinstance(operator.attributes, Lookup)
    )
    table = None
    if has_values:
        values = {root: ALL_INPUTS.astype(np.int8).reshape(1, 1, -1, 1)}
        for operator in group:
            sources = tuple(values[source] for source in operator.inputs)
            values[operator.output] = run_operator(operator, operator.lower(graph), sources)
        table = values[last.output].reshape(-1)
    return Operator(last.name, (root,), last.output, Lookup(name, table))


def fuse_pads(graph: Graph) -> Graph:
    """A border goes into each reader that can pad for itself, which reads what is inside it."""
    for pad in graph.operators:
        if isinstance(pad.attributes, Pad) and pad.output != graph.output:
            graph = graph.with_operators(
                _with_border(operator, pad, pad.attributes, graph) for operator in graph.operators
            )
            if not graph.consumers(pad.output):
                graph = graph.with_operators(op for op in graph.operators if op is not pad)
    return graph


def _with_border(reader: Operator, pad: Operator, border: Pad, graph: Graph) -> Operator:
    """The reader with the border in its window; as it was where it reads another or cannot."""
    quantisation = graph.tensors[pad.output].quantisation
    if reader.inputs[0] != pad.output or pad.output in reader.inputs[1:] or quantisation is None:
        return reader
    if border.before[2] or border.after[2]:
        return reader
    value = border.lower((quantisation,), quantisation).value
    padded = reader.attributes.with_border(border.before, border.after, value, quantisation)
    if padded is None:
        return reader
    return replace(reader, inputs=(pad.inputs[0], *reader.inputs[1:]), attributes=padded)


def fuse_sums(graph: Graph) -> Graph:
    """A convolution adds its result onto the other operand of a sum, in that operand's memory.

    Each addition is fused with an operator that can, whose result only it reads.
    """
    for addition in graph.operators:
        if not isinstance(addition.attributes, Add) or addition.attributes.sign < 0:
            continue
        if is_wide_sum(addition.sources(graph), graph.tensors[addition.output]):
            continue  # it takes arithmetic that others do not have
        found = _adding_operand(addition, addition.attributes, graph)
        if found is None:
            continue
        operand, attributes = found
        first, second = addition.inputs
        other = second if first == operand.output else first
        inputs = (operand.inputs[0], other)
        fused = Operator(operand.name, inputs, addition.output, attributes)
        graph = graph.with_operators(
            # The sum takes the addition's place: by then both operands have been computed.
            fused if op is addition else op
            for op in graph.operators
            if op is not operand
        )
    return graph


def _adding_operand(
    addition: Operator, attributes: Add, graph: Graph
) -> tuple[Operator, Attributes] | None:
    """The operand that can add the other one, and what it becomes."""
    if addition.inputs[0] == addition.inputs[1]:
        return None
    candidates = []
    for name in addition.inputs:
        producer, direct = graph.producer(name), graph.tensors[name].quantisation
        if producer is None or direct is None:
            continue
        if len(graph.consumers(name)) > 1 or name == graph.output:
            continue
        adding = producer.attributes.with_sum(direct, attributes.clamp)
        if adding is not None:
            candidates.append((producer, adding))
    # The last operand, as a chain of sums names its newest term last. The order of the file has no
    # say, so that two files that hold one network become one program.
    return candidates[-1] if candidates else None


PASSES = (
    remove_dead_operators,
    drop_reshapes,
    fuse_clamps,
    drop_clamps,
    fuse_lookups,
    fuse_pads,
    fuse_sums,
)


def optimise(graph: Graph) -> Graph:
    """All passes, in the order in which each finds most to do."""
    for rewrite in PASSES:
        graph = rewrite(graph)
    return graph
