"""Bringing a network's arena under a limit: chains at full resolution run some rows at a time.

Step by step, the chain and number of rows are taken that leave least above the limit, with the
fewest stripes; a chain may take the place of those that it overlaps. Nothing is computed twice;
what it costs is the start of a kernel for every stripe, and moving rows.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automcu.compiler.arena import occupied_bytes
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel
from automcu.compiler.tiling.chain import NotTileableError, RowTiling, Stage

if TYPE_CHECKING:
    from automcu.compiler.compile import Program

_LONGEST_CHAIN = 5
_ROWS = (16, 8, 4, 2, 1)
_WORTH_IT = 0.95  # of the arena, where the limit is out of reach

_Excess = tuple[int, ...]  # bytes in use wherever they are above the limit, the most first
_Plan = Callable[[Graph], "Program"]
_Choose = Callable[[Operator, Graph], Kernel]


@dataclass(frozen=True)
class Chain:
    """Operators by name, each the only reader of the one before; `rows` are made at a time."""

    operators: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class _Attempt:
    """A program, and the chains of the original graph that run some rows at a time in it."""

    program: "Program"
    chains: tuple[Chain, ...]


@dataclass(frozen=True)
class _Candidate:
    """Chains to try; `excess` is what will be above the limit at least."""

    chains: tuple[Chain, ...]
    excess: _Excess
    stripes: int


def fit_arena(program: "Program", limit_bytes: int, plan: _Plan, choose: _Choose) -> "Program":
    """Return the program with as few stripes as bring its arena to the limit, or near it.

    `plan` makes a program of a graph that is optimised, `choose` a kernel. Where stripes neither
    reach the limit nor gain much, the program comes back as it was.
    """
    best = _search(program, limit_bytes, plan, choose)
    if best.arena.size <= limit_bytes:
        return best
    # What it cannot go below needs no stripes elsewhere.
    best = _search(program, best.arena.size, plan, choose)
    return best if best.arena.size < _WORTH_IT * program.arena.size else program


def _search(program: "Program", limit_bytes: int, plan: _Plan, choose: _Choose) -> "Program":
    best = _Attempt(program, ())
    while excess := _excess(best.program, limit_bytes):
        better = _with_one_chain_more(best, program.graph, limit_bytes, plan, choose)
        if _excess(better.program, limit_bytes) >= excess:
            break
        best = better
    return best.program


def _loads(program: "Program") -> list[int]:
    """Bytes in use while each operator runs."""
    return [
        sum(b.size for b in program.arena.buffers if b.first_step <= step <= b.last_step)
        for step in range(len(program.graph.operators))
    ]


def _excess(program: "Program", limit_bytes: int) -> _Excess:
    return _above(_loads(program), limit_bytes)


def _above(loads: Iterable[int], limit_bytes: int) -> _Excess:
    return tuple(sorted((load for load in loads if load > limit_bytes), reverse=True))


def _with_one_chain_more(
    attempt: _Attempt, graph: Graph, limit_bytes: int, plan: _Plan, choose: _Choose
) -> _Attempt:
    """The best that one chain can do; the attempt itself where none does better."""
    best, best_cost = attempt, (_excess(attempt.program, limit_bytes), 0)
    candidates = _candidates(attempt, graph, limit_bytes, choose)
    for candidate in sorted(candidates, key=lambda c: (c.excess, c.stripes)):
        if (candidate.excess, candidate.stripes) >= best_cost:
            break  # no other can leave less than what is found
        found = plan(_fused(graph, candidate.chains))
        cost = _excess(found, limit_bytes), candidate.stripes
        if cost < best_cost:
            best, best_cost = _Attempt(found, candidate.chains), cost
    return best


def _candidates(
    attempt: _Attempt, graph: Graph, limit_bytes: int, choose: _Choose
) -> Iterator[_Candidate]:
    loads = _loads_by_operator(attempt, graph)
    for operators in chains(graph, _LONGEST_CHAIN):
        names = tuple(operator.name for operator in operators)
        if max(loads[name] for name in names) <= limit_bytes:
            continue
        others = tuple(c for c in attempt.chains if set(c.operators).isdisjoint(names))
        elsewhere = [load for name, load in loads.items() if name not in names]
        for rows in _ROWS:
            if rows < graph.tensors[operators[-1].output].shape[0]:
                chain = Chain(names, rows)
                try:
                    kernel, least = _alone(graph, chain, choose)
                except NotTileableError:
                    continue
                excess = _above((*elsewhere, least), limit_bytes)
                yield _Candidate((*others, chain), excess, kernel.work["stripes"])


def _alone(graph: Graph, chain: Chain, choose: _Choose) -> tuple[Kernel, int]:
    """A chain's kernel, and the bytes that it needs at least, whatever else is in memory."""
    fused = fuse_chain(graph, chain)
    output = next(op.output for op in graph.operators if op.name == chain.operators[-1])
    operator = fused.producer(output)
    assert operator is not None, "a chain has a result"
    kernel = choose(operator, fused)
    tensors = [operator.inputs[0]] + ([] if kernel.overwrites else [output])
    sizes = [graph.tensors[name].size for name in tensors] + [kernel.scratch_bytes]
    return kernel, sum(occupied_bytes(size) for size in sizes)


def _fused(graph: Graph, chosen: tuple[Chain, ...]) -> Graph:
    for chain in chosen:
        graph = fuse_chain(graph, chain)
    return graph


def _loads_by_operator(attempt: _Attempt, graph: Graph) -> dict[str, int]:
    """Bytes in use while each operator of the original graph runs.

    Those of a chain run together; all but its last count as nothing.
    """
    outputs = {operator.output: operator.name for operator in graph.operators}
    loads = dict.fromkeys(outputs.values(), 0)
    for operator, load in zip(
        attempt.program.graph.operators, _loads(attempt.program), strict=True
    ):
        loads[outputs[operator.output]] = load
    return loads


def fuse_chain(graph: Graph, chain: Chain) -> Graph:
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
        attributes=RowTiling(stages, chain.rows, adds_input),
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
    return operator.attributes.row_window is not None


def _continues(before: Operator, operator: Operator, graph: Graph) -> bool:
    return (
        _is_stage(operator)
        and before.output != graph.output
        and operator.inputs[0] == before.output
        and operator.inputs[1:] != (before.output,)
        and graph.tensors[operator.output].shape[0] > 1
    )
