"""Bringing a network's arena under a limit: chains at full resolution run some rows at a time.

Of all single chains and numbers of rows, the one that meets the limit with the fewest stripes is
taken; while none does, the one that saves most, and then the search goes on from there. Nothing
is computed twice: what it costs is the start of a kernel for every stripe, and moving rows.
"""

from collections.abc import Callable, Iterator

from automcu.compiler.graph import Graph
from automcu.compiler.kernels.stripes import NoStripesError
from automcu.compiler.operators import Stripes
from automcu.compiler.passes.fuse_stripes import Chain, chains, fuse_stripes
from automcu.compiler.program import Program

_LONGEST_CHAIN = 5
_ROWS = (16, 8, 4, 2, 1)

_Plan = Callable[[Graph], Program]


def fit_arena(program: Program, limit_bytes: int, plan: _Plan) -> Program:
    """Return the program with as few stripes as bring its arena to the limit, or near it.

    `plan` makes a program of a graph that is optimised. Where stripes gain nothing, the program
    comes back as it was.
    """
    while program.arena.size > limit_bytes:
        better = min(
            _striped(program, limit_bytes, plan),
            key=lambda found: (max(found.arena.size, limit_bytes), _stripes(found)),
            default=program,
        )
        if better.arena.size >= program.arena.size:
            break
        program = better
    return program


def _striped(program: Program, limit_bytes: int, plan: _Plan) -> Iterator[Program]:
    """The program with one chain more."""
    crowded = _crowded_operators(program, limit_bytes)
    for chain in chains(program.graph, _LONGEST_CHAIN):
        names = tuple(operator.name for operator in chain)
        if crowded.isdisjoint(names):
            continue
        height = program.graph.tensors[chain[-1].output].shape[0]
        for rows in _ROWS:
            if rows < height:
                try:
                    yield plan(fuse_stripes(program.graph, Chain(names, rows)))
                except NoStripesError:
                    continue


def _crowded_operators(program: Program, limit_bytes: int) -> set[str]:
    """Operators that run while the arena is at its fullest, or above the limit."""
    arena = program.arena
    return {
        operator.name
        for step, operator in enumerate(program.graph.operators)
        if sum(b.size for b in arena.buffers if b.first_step <= step <= b.last_step)
        > min(limit_bytes, arena.lower_bound - 1)
    }


def _stripes(program: Program) -> int:
    return sum(
        program.kernels[operator.name].work["stripes"]
        for operator in program.graph.operators
        if isinstance(operator.attributes, Stripes)
    )
