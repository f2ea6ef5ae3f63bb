"""What a cell becomes after the compiler's passes, apart from its size: the same in every stage.

A cell's layers are of seven kinds, all on tensors of one size. So the cells of a stage cost
counts times the cost of each kind, and their memory is a number of tensors at each layer plus
that layer's scratch. Counting both once for each of the 9,445 distinct networks makes surveys of
the whole space quick; `cell_structures.npz` holds the counts, and

    python -m automcu.networks.cells.structure

writes it anew, which is needed after a change to the passes or to what kernels may overwrite (a
test notices).
"""

import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Attributes, Graph, Operator, Quantisation, Shape, Tensor
from automcu.compiler.isa.instruction_set import ARMV7E_M
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops import Add, AveragePool, Convolution, Rescale
from automcu.compiler.passes import optimise
from automcu.compiler.read.arrange import TERNARY_FROM
from automcu.compiler.tensor import POINTWISE, Window
from automcu.mcu.core import CORTEX_M4
from automcu.networks.cells.cell import Cell, Operation, all_cells
from automcu.networks.cells.graph import LAST_NORMALISATION, architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.records import write_atomically

KINDS = ("conv3", "conv3_sum", "conv1", "conv1_sum", "pool", "add", "rescale")
Edges = tuple[Operation, ...]
Vector = tuple[int, ...]

STRUCTURES_FILE = Path(__file__).parent / "cell_structures.npz"

_TWO_CELLS = Skeleton(stem_channels=16, cells_per_stage=2, resolution=16)
_SECOND_CELL = "stage0_cell1_"
_QUANTISATION = Quantisation(1.0, 0)
_RECTIFIED = Quantisation(1.0, -128)
_SAME_3X3 = Window(3, 3, padding=(1, 1, 1, 1))
_USUAL_SHAPE = (16, 16, 64)


@dataclass(frozen=True)
class CellStructures:
    """`counts` int [networks, kinds]: layers of each kind in one cell.

    `tensors` int [networks, orders, kinds]: for each order of layers worth considering the most
    tensors in memory while a layer of a kind runs (0: there is none). `folds` bool
    [networks]: the cell ends in a lone convolution, into which the network's last normalisation
    is folded. Rows follow `networks`.
    """

    networks: Mapping[Edges, int]
    counts: NDArray[np.int64]
    tensors: NDArray[np.int64]
    folds: NDArray[np.bool_]


@cache
def distinct_networks() -> tuple[Edges, ...]:
    """The live edges of all connected cells, each combination once, sorted."""
    return tuple(sorted({c.without_dead_edges().edges for c in all_cells() if c.is_connected}))


@cache
def cell_structures(kernels: str) -> CellStructures:
    """The shipped table for the kernels that `overwrites` names."""
    with np.load(STRUCTURES_FILE) as file:
        return CellStructures(
            {edges: row for row, edges in enumerate(distinct_networks())},
            file["counts"].astype(np.int64),
            file[f"tensors_{kernels}"].astype(np.int64),
            file["folds"].astype(np.bool_),
        )


@cache
def overwrites() -> Mapping[str, Mapping[str, tuple[int, ...]]]:
    """Inputs whose memory a layer's output may take, by table and kind, as the kernels say.

    The tables are for kernels with the DSP extension, which copy rows before they use them, for
    the portable ones, and for those where all weights are ternary.
    """
    return {
        "dsp": {kind: _special_kernel(*kind_layer(kind)).overwrites for kind in KINDS},
        "portable": {kind: _portable_kernel(*kind_layer(kind)).overwrites for kind in KINDS},
        "ternary": {
            kind: _portable_kernel(*kind_layer(kind, ternary=True)).overwrites for kind in KINDS
        },
    }


def _special_kernel(operator: Operator, graph: Graph) -> Kernel:
    tensors = operator.sources(graph), graph.tensors[operator.output]
    special = ARMV7E_M.kernels(operator.attributes, *tensors, CORTEX_M4)
    return special[0] if special else operator.kernel(graph)


def _portable_kernel(operator: Operator, graph: Graph) -> Kernel:
    return operator.kernel(graph)


def kind_layer(
    kind: str, shape: Shape = _USUAL_SHAPE, ternary: bool = False
) -> tuple[Operator, Graph]:
    """A layer of one kind on tensors of one shape, and the graph around it.

    With `ternary` convolutions have ternary weights if they have enough of them.
    """
    inputs = ("a", "b") if kind.endswith("_sum") or kind == "add" else ("a",)
    result = _RECTIFIED if kind == "rescale" else _QUANTISATION
    tensors = {name: Tensor(name, shape, _QUANTISATION) for name in inputs}
    operator = Operator(kind, inputs, "result", _attributes(kind, shape[2], ternary))
    graph = Graph(tensors | {"result": Tensor("result", shape, result)}, (operator,), "a", "result")
    return operator, graph


def _attributes(kind: str, channels: int, ternary: bool) -> Attributes:
    if kind == "pool":
        return AveragePool(_SAME_3X3)
    if kind == "add":
        return Add()
    if kind == "rescale":
        return Rescale()
    window = _SAME_3X3 if kind.startswith("conv3") else POINTWISE
    weights = window.height * window.width * channels**2
    convolution = Convolution(window, channels, ternary=ternary and weights >= TERNARY_FROM)
    return replace(convolution, sum_scale=1.0) if kind.endswith("_sum") else convolution


def cell_layers(edges: Edges) -> tuple[tuple[Operator, ...], Graph]:
    """The layers of one cell among others of its kind, and the graph around them."""
    architecture = Architecture(cell=str(Cell(edges)), skeleton=_TWO_CELLS)
    graph = optimise(architecture_graph(architecture))
    layers = tuple(op for op in graph.operators if op.name.startswith(_SECOND_CELL))
    return layers, graph


def kind_of(operator: Operator) -> str:
    """Which of the seven kinds a layer of a cell is."""
    match operator.attributes:
        case Convolution(window=window, sum_scale=None):
            return f"conv{window.height}"
        case Convolution(window=window):
            return f"conv{window.height}_sum"
        case AveragePool():
            return "pool"
        case Add():
            return "add"
        case Rescale():
            return "rescale"
        case _:
            raise TypeError(f"{operator.name} does not occur in cells")


def count_kinds(layers: Sequence[Operator]) -> Vector:
    """Layers of each kind."""
    kinds = [kind_of(layer) for layer in layers]
    return tuple(kinds.count(kind) for kind in KINDS)


def fewest_tensors(
    layers: Sequence[Operator], overwrites: Mapping[str, tuple[int, ...]]
) -> list[Vector]:
    """The Pareto-best orders of `layers`, each as the most tensors in memory by kind."""
    position = {layer.output: index for index, layer in enumerate(layers)}
    readers: dict[str, int] = {}
    for index, layer in enumerate(layers):
        for name in layer.inputs:
            readers[name] = readers.get(name, 0) | 1 << index
    needs = [
        sum(1 << position[name] for name in set(layer.inputs) if name in position)
        for layer in layers
    ]
    states: dict[int, set[Vector]] = {0: {(0,) * len(KINDS)}}
    for _ in layers:
        following: dict[int, set[Vector]] = {}
        for done, vectors in states.items():
            live = _live(done, readers, position)
            for index, layer in enumerate(layers):
                if done >> index & 1 or needs[index] & ~done:
                    continue
                after = done | 1 << index
                dying = {name for name in layer.inputs if not readers[name] & ~after}
                kind = kind_of(layer)
                in_place = any(
                    layer.inputs[i] in dying and layer.inputs.count(layer.inputs[i]) == 1
                    for i in overwrites[kind]
                )
                place, tensors = KINDS.index(kind), live + (not in_place)
                following.setdefault(after, set()).update(
                    (*v[:place], max(v[place], tensors), *v[place + 1 :]) for v in vectors
                )
        states = {done: _pareto(vectors) for done, vectors in following.items()}
    return sorted(states[(1 << len(layers)) - 1])


def _live(done: int, readers: Mapping[str, int], position: Mapping[str, int]) -> int:
    """How many tensors are in memory after the layers in the bit set `done`."""
    outside = sum(1 for name, users in readers.items() if name not in position and users & ~done)
    inside = sum(
        1
        for name, index in position.items()
        if done >> index & 1 and (name not in readers or readers[name] & ~done)
    )
    return outside + inside


def _pareto(vectors: set[Vector]) -> set[Vector]:
    return {
        v
        for v in vectors
        if not any(w != v and all(a <= b for a, b in zip(w, v, strict=True)) for w in vectors)
    }


def _write() -> None:
    counts: list[Vector] = []
    folds: list[bool] = []
    orders: dict[str, list[list[Vector]]] = {kernels: [] for kernels in overwrites()}
    for number, edges in enumerate(distinct_networks()):
        layers, graph = cell_layers(edges)
        counts.append(count_kinds(layers))
        folds.append(all(op.name != LAST_NORMALISATION for op in graph.operators))
        for kernels, rights in overwrites().items():
            orders[kernels].append(fewest_tensors(layers, rights))
        if number % 500 == 0:
            print(f"{number} of {len(distinct_networks())} networks", file=sys.stderr)
    content = io.BytesIO()
    arrays = {
        f"tensors_{kernels}": np.array(
            [rows + rows[:1] * (max(map(len, found)) - len(rows)) for rows in found], np.uint8
        )
        for kernels, found in orders.items()
    }
    np.savez_compressed(
        content,
        allow_pickle=False,
        counts=np.array(counts, np.uint8),
        folds=np.array(folds),
        **arrays,
    )
    write_atomically(STRUCTURES_FILE, content.getvalue())


if __name__ == "__main__":
    _write()
