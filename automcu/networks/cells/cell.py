"""A NAS-Bench-201 cell: four nodes, six edges, one of five operations on each edge.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search",
ICLR 2020, section 2.1. Node 0 is the cell's input, node 3 its output; a node is the sum of its
incoming edges.

The benchmark lists every cell lexicographically and shuffles the list with Python's generator
seeded with 88 (AutoDL-Projects, exps/NAS-Bench-201/main.py, `generate_meta_info`). So the order
is computed here rather than shipped. The shuffle is spelled out because Python only promises that
`getrandbits` repeats across versions, not that `random.shuffle` does.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from random import Random
from typing import Literal, Self, get_args

from automcu.errors import WrongInputError

CELL_COUNT = 5**6

_BENCHMARK_SEED = 88


@lru_cache(maxsize=1)
def codes_by_index() -> tuple[int, ...]:
    """Return, for every benchmark index, the cell's lexicographic code.

    A code is a number of six base-5 digits, one operation per edge, first edge first.
    """
    generator = Random(_BENCHMARK_SEED)
    codes = list(range(CELL_COUNT))
    for last in range(CELL_COUNT - 1, 0, -1):
        chosen = _random_below(generator, last + 1)
        codes[last], codes[chosen] = codes[chosen], codes[last]
    return tuple(codes)


@lru_cache(maxsize=1)
def indices_by_code() -> tuple[int, ...]:
    """Return, for every lexicographic code, the benchmark's index of that cell."""
    indices = [0] * CELL_COUNT
    for index, code in enumerate(codes_by_index()):
        indices[code] = index
    return tuple(indices)


def _random_below(generator: Random, bound: int) -> int:
    """Draw a number in [0, bound) by rejection, as CPython's `random.shuffle` does."""
    bits = bound.bit_length()
    drawn = generator.getrandbits(bits)
    while drawn >= bound:
        drawn = generator.getrandbits(bits)
    return drawn


Operation = Literal["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]

OPERATIONS: tuple[Operation, ...] = get_args(Operation)
"""The five operations in the benchmark's own order; the position is the operation's code."""

EDGES: tuple[tuple[int, int], ...] = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The six edges (source node, target node) in the benchmark's own order."""

INPUT_NODE = 0
OUTPUT_NODE = 3

_EXAMPLE = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"


@dataclass(frozen=True, slots=True)
class Cell:
    """Six operations, one per edge of `EDGES`.

    Raises:
        WrongInputError: not six operations, or one that the space does not have.
    """

    edges: tuple[Operation, ...]

    def __post_init__(self) -> None:
        if len(self.edges) != len(EDGES):
            raise WrongInputError(
                f"A cell has {len(EDGES)} edges, not {len(self.edges)}. "
                "Give one operation for each of 0→1, 0→2, 1→2, 0→3, 1→3, 2→3."
            )
        for operation in self.edges:
            if operation not in OPERATIONS:
                raise WrongInputError(
                    f"{operation!r} is not an operation of this space. "
                    f"Use one of {', '.join(OPERATIONS)}."
                )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the benchmark's notation, such as `|none~0|+|none~0|none~1|+|…~0|…~1|…~2|`.

        Raises:
            WrongInputError: the text is not such a string.
        """
        nodes = text.strip().split("+")
        if len(nodes) != OUTPUT_NODE:
            raise _unreadable(text, f"it has {len(nodes)} nodes instead of {OUTPUT_NODE}")
        return cls(
            tuple(
                operation
                for target, node in enumerate(nodes, start=1)
                for operation in _parse_node(text, node, target)
            )
        )

    @classmethod
    def from_index(cls, index: int) -> Self:
        """Return the cell with this number in the benchmark's list.

        Raises:
            WrongInputError: the index is not in 0…15,624.
        """
        if not 0 <= index < CELL_COUNT:
            raise WrongInputError(
                f"There is no cell {index}. Choose an index from 0 to {CELL_COUNT - 1}."
            )
        return cls(_operations_of_code(codes_by_index()[index]))

    @property
    def index(self) -> int:
        """The cell's number in the benchmark's list, 0…15,624."""
        code = 0
        for operation in self.edges:
            code = code * len(OPERATIONS) + OPERATIONS.index(operation)
        return indices_by_code()[code]

    def __str__(self) -> str:
        written = zip(EDGES, self.edges, strict=True)
        return "+".join(
            "|" + "".join(f"{operation}~{source}|" for (source, _), operation in incoming)
            for _, incoming in groupby(written, key=lambda item: item[0][1])
        )

    def live_edges(self) -> tuple[bool, ...]:
        """Say for each edge whether it lies on a path from the input to the output.

        An edge is live when it is not `none`, its source is reachable from node 0, and node 3 is
        reachable from its target. An edge that nothing reads has no effect. One that nothing
        feeds carries no information: in the benchmark a convolution on it still adds its batch
        normalisation's shift, a constant per channel, which goes when the edge is removed.
        """
        wired = [
            edge for edge, operation in zip(EDGES, self.edges, strict=True) if operation != "none"
        ]
        fed = {INPUT_NODE}
        for source, target in wired:
            if source in fed:
                fed.add(target)
        read = {OUTPUT_NODE}
        for source, target in reversed(wired):
            if target in read:
                read.add(source)
        return tuple(
            operation != "none" and source in fed and target in read
            for (source, target), operation in zip(EDGES, self.edges, strict=True)
        )

    def without_dead_edges(self) -> "Cell":
        """Return the cell with every dead edge set to `none`.

        Two cells with equal results here are built and compiled as the same network.
        """
        return Cell(
            tuple(
                operation if live else "none"
                for operation, live in zip(self.edges, self.live_edges(), strict=True)
            )
        )

    @property
    def is_connected(self) -> bool:
        """Whether the output depends on the input at all."""
        return any(self.live_edges())


@lru_cache(maxsize=1)
def all_cells() -> tuple[Cell, ...]:
    """Return the 15,625 cells in the benchmark's order, so that `all_cells()[i].index == i`."""
    return tuple(Cell(_operations_of_code(code)) for code in codes_by_index())


def _operations_of_code(code: int) -> tuple[Operation, ...]:
    digits = []
    for _ in EDGES:
        code, digit = divmod(code, len(OPERATIONS))
        digits.append(OPERATIONS[digit])
    return tuple(reversed(digits))


def _parse_node(text: str, node: str, target: int) -> tuple[Operation, ...]:
    """Return the operations that enter node `target`, ordered by their source node."""
    if len(node) < 2 or not (node.startswith("|") and node.endswith("|")):
        raise _unreadable(text, f"node {target} is not enclosed in '|'")
    incoming: dict[str, Operation] = {}
    for entry in node[1:-1].split("|"):
        name, _, source = entry.partition("~")
        operation = next((known for known in OPERATIONS if known == name), None)
        if operation is None:
            raise _unreadable(
                text, f"{name!r} is not one of the operations {', '.join(OPERATIONS)}"
            )
        if source in incoming:
            raise _unreadable(text, f"node {target} names its input {source} twice")
        incoming[source] = operation
    expected = [str(source) for source in range(target)]
    if sorted(incoming) != expected:
        raise _unreadable(
            text, f"node {target} must name the inputs {', '.join(expected)}, each once"
        )
    return tuple(incoming[source] for source in expected)


def _unreadable(text: str, reason: str) -> WrongInputError:
    shown = text if len(text) <= 120 else text[:117] + "..."
    return WrongInputError(
        f"{shown!r} is not a NAS-Bench-201 cell: {reason}. Write it like {_EXAMPLE}."
    )


_ZERO = "#"


def canonical_form(cell: Cell) -> str:
    """Return the benchmark's name for the cell's isomorphism class.

    Each node is written as the sorted sum of its inputs: `none`, and anything applied to a zero
    node, is zero; `skip_connect` is transparent (AutoDL-Projects, genotypes.py,
    `Structure.to_unique_str(consider_zero=True)`).

    Made to say which cells the benchmark counts as one, and no more. Zero terms stay in a sum, so
    some cells of equal function have different names. Equal operations on equal inputs share a
    name although each has weights of its own, so cells of one class may differ in live
    convolutions, hence in cost: in 644 classes they do. Share costs through
    `Cell.without_dead_edges` instead.
    """
    written = {INPUT_NODE: "0"}
    for node in range(1, OUTPUT_NODE + 1):
        terms = [
            _term(written[source], operation)
            for (source, target), operation in zip(EDGES, cell.edges, strict=True)
            if target == node
        ]
        written[node] = "+".join(sorted(terms))
    return written[OUTPUT_NODE]


@lru_cache(maxsize=1)
def isomorphism_classes() -> tuple[tuple[int, ...], ...]:
    """Return the classes as ascending tuples of cell indices, ordered by their smallest index."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, cell in enumerate(all_cells()):
        members[canonical_form(cell)].append(index)
    return tuple(tuple(indices) for indices in members.values())


def _term(source: str, operation: str) -> str:
    if operation == "none" or source == _ZERO:
        return _ZERO
    if operation == "skip_connect":
        return source
    return f"({source})@{operation}"
