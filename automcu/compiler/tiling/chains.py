"""Make one operator of a chain, which then runs some rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.ops import (
    Convolution,
    Lookup,
    MaxPool,
    Rescale,
    Stage,
    Stripes,
)


@dataclass(frozen=True)
class Chain:
    """Operators by name, each the only reader of the one before; `rows` are made at a time."""

    operators: tuple[str, ...]
    rows: int


def fuse_stripes(graph: Graph, chain: Chain) -> Graph:
    """Replace the chain's operators by one."""
    by_name = {operator.name: operator for operator in graph.operators}
    members = [by_name[name] for name in chain.operators]
    first, last = members[0], members[-1]
    stages = tuple(
        Stage(op.name, op.attributes, graph.tensors[op.output].quantisation) for op in members
    )
    source, others = first.inputs[0], last.inputs[1:]
    adds_input = others == (source,)
    fused = Operator(
        name=f"{first.name} to {last.name}",
        inputs=(source,) if adds_input else (source, *others),
        output=last.output,
        attributes=Stripes(stages, chain.rows, adds_input),
    )
    inside = set(chain.operators)
    return graph.with_operators(
        fused if operator is last else operator
        for operator in graph.operators
        if operator is last or operator.name not in inside
    )


def chains(graph: Graph, longest: int) -> Iterator[tuple[Operator, ...]]:
    """Every run of two to `longest` operators that could be one chain.

    A sum with another tensor can only be its last, as just that one's second input is at hand.
    """
    for operator in graph.operators:
        chain = [operator]
        while len(chain) < longest and _is_stage(chain[-1]) and len(chain[-1].inputs) == 1:
            readers = graph.consumers(chain[-1].output)
            if len(readers) != 1 or not _continues(chain[-1], readers[0], graph):
                break
            chain.append(readers[0])
            yield tuple(chain)


def _is_stage(operator: Operator) -> bool:
    return isinstance(operator.attributes, Convolution | MaxPool | Lookup | Rescale)


def _continues(before: Operator, operator: Operator, graph: Graph) -> bool:
    return (
        _is_stage(operator)
        and before.output != graph.output
        and operator.inputs[0] == before.output
        and operator.inputs[1:] != (before.output,)
        and graph.tensors[operator.output].shape[0] > 1
    )
