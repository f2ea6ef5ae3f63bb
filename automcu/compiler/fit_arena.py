"""Bringing a network's arena under a limit: chains at full resolution run some rows at a time.

Of all chains and numbers of rows, the one that meets the limit with the fewest stripes is taken;
while none does, the one that leaves the smallest arena, and then the search goes on from there: a
chain may be added, or take the place of those that it overlaps. Nothing is computed twice; what it
costs is the start of a kernel for every stripe, and moving rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernels import Kernel
from automcu.compiler.kernels.stripes import NoStripesError
from automcu.compiler.passes.fuse_stripes import Chain, chains, fuse_stripes
from automcu.compiler.program import Program
from automcu.compiler.schedule import occupied_bytes

_LONGEST_CHAIN = 5
_ROWS = (16, 8, 4, 2, 1)

_Plan = Callable[[Graph], Program]
_Choose = Callable[[Operator, Graph], Kernel]


@dataclass(frozen=True)
class _Attempt:
    """A program, and the chains of the original graph that run by rows in it."""

    program: Program
    chains: tuple[Chain, ...]


@dataclass(frozen=True)
class _Candidate:
    """Chains to try; the new one alone needs `least_bytes` while it runs."""

    chains: tuple[Chain, ...]
    least_bytes: int
    stripes: int


def fit_arena(program: Program, limit_bytes: int, plan: _Plan, choose: _Choose) -> Program:
    """Return the program with as few stripes as bring its arena to the limit, or near it.

    `plan` makes a program of a graph that is optimised, `choose` a kernel. Where stripes gain
    nothing, the program comes back as it was.
    """
    best = _Attempt(program, ())
    while best.program.arena.size > limit_bytes:
        better = _with_one_chain_more(best, program.graph, limit_bytes, plan, choose)
        if better.program.arena.size >= best.program.arena.size:
            break
        best = better
    return best.program


def _with_one_chain_more(
    attempt: _Attempt, graph: Graph, limit_bytes: int, plan: _Plan, choose: _Choose
) -> _Attempt:
    """The best that one chain can do; the attempt itself where none does better."""
    best, best_cost = attempt, (attempt.program.arena.size, 0)
    candidates = _candidates(attempt, graph, limit_bytes, choose)
    costs = {c: (max(c.least_bytes, limit_bytes), c.stripes) for c in candidates}
    for candidate in sorted(costs, key=lambda c: costs[c]):
        if costs[candidate] >= best_cost:
            break  # no other can need less than what is found
        found = plan(_fused(graph, candidate.chains))
        cost = max(found.arena.size, limit_bytes), candidate.stripes
        if cost < best_cost:
            best, best_cost = _Attempt(found, candidate.chains), cost
    return best


def _candidates(
    attempt: _Attempt, graph: Graph, limit_bytes: int, choose: _Choose
) -> Iterator[_Candidate]:
    crowded = _crowded_operators(attempt, graph, limit_bytes)
    for operators in chains(graph, _LONGEST_CHAIN):
        names = tuple(operator.name for operator in operators)
        if crowded.isdisjoint(names):
            continue
        others = tuple(c for c in attempt.chains if set(c.operators).isdisjoint(names))
        for rows in _ROWS:
            if rows < graph.tensors[operators[-1].output].shape[0]:
                chain = Chain(names, rows)
                try:
                    kernel, least = _alone(graph, chain, choose)
                except NoStripesError:
                    continue
                yield _Candidate((*others, chain), least, kernel.work["stripes"])


def _alone(graph: Graph, chain: Chain, choose: _Choose) -> tuple[Kernel, int]:
    """A chain's kernel, and the bytes that it needs at least, whatever else is in memory."""
    fused = fuse_stripes(graph, chain)
    output = next(op.output for op in graph.operators if op.name == chain.operators[-1])
    operator = fused.producer(output)
    assert operator is not None, "a chain has a result"
    kernel = choose(operator, fused)
    tensors = [operator.inputs[0]] + ([] if kernel.overwrites else [output])
    sizes = [graph.tensors[name].size for name in tensors] + [kernel.scratch_bytes]
    return kernel, sum(occupied_bytes(size) for size in sizes)


def _fused(graph: Graph, chosen: tuple[Chain, ...]) -> Graph:
    for chain in chosen:
        graph = fuse_stripes(graph, chain)
    return graph


def _crowded_operators(attempt: _Attempt, graph: Graph, limit_bytes: int) -> set[str]:
    """Operators of the original graph that run while the arena is fullest, or above the limit."""
    program = attempt.program
    arena = program.arena
    outputs = {operator.name: operator.output for operator in graph.operators}
    members = {outputs[chain.operators[-1]]: chain.operators for chain in attempt.chains}
    crowded: set[str] = set()
    for step, operator in enumerate(program.graph.operators):
        used = sum(b.size for b in arena.buffers if b.first_step <= step <= b.last_step)
        if used > min(limit_bytes, arena.lower_bound - 1):
            crowded.update(members.get(operator.output, (operator.name,)))
    return crowded
