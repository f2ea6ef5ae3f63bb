"""Kernels that only move bytes: concatenate, pad, rearrange."""

from collections import Counter
from collections.abc import Iterable
from math import prod

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel, LayerConstants, no_constants
from automcu.compiler.lowering import Integers
from automcu.compiler.memory_work import copies, copy_code
from automcu.compiler.ops import Concatenate, Pad, Rearrange
from automcu.compiler.ops.pad import PadIntegers
from automcu.compiler.ops.rearrange import moves_nothing


def portable_concatenate(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of a concatenation: rows made of one chunk from each input."""
    attributes = operator.attributes
    if not isinstance(attributes, Concatenate):
        raise TypeError(f"{operator.name} is not a concatenation")
    shapes = [graph.tensors[name].shape for name in operator.inputs]
    rows = prod(shapes[0][: attributes.axis])
    chunks = tuple(prod(shape[attributes.axis :]) for shape in shapes)
    return Kernel(
        variant="portable",
        function=f"concatenate_{rows}_rows_of_{'_'.join(map(str, chunks))}",
        template="concatenate.c.j2",
        settings={"rows": rows, "chunks": chunks},
        parameters_type=None,
        arrays=(),
        pack=no_constants,
        work=Counter({"rows": rows}) + _sum(copies(rows, chunk) for chunk in chunks),
        code=Counter({"loops": int(rows > 1)}) + _sum(copy_code(chunk) for chunk in chunks),
    )


def portable_pad(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of a border."""
    attributes = operator.attributes
    if not isinstance(attributes, Pad):
        raise TypeError(f"{operator.name} is not a pad")
    source, result = (graph.tensors[name].shape for name in (operator.inputs[0], operator.output))
    name = f"pad_{_by(source)}_to_{_by(result)}_at_{'_'.join(map(str, attributes.before))}"
    whole_rows = source[2] == result[2]
    return Kernel(
        variant="portable",
        function=name,
        template="pad.c.j2",
        settings={
            "in_height": source[0],
            "in_width": source[1],
            "in_channels": source[2],
            "out_height": result[0],
            "out_width": result[1],
            "out_channels": result[2],
            "top": attributes.before[0],
            "left": attributes.before[1],
            "front": attributes.before[2],
        },
        parameters_type="pad_parameters",
        arrays=(),
        pack=_pack_pad,
        work={"filled": prod(result), "rows": source[0]}
        | copies(
            *(
                (source[0], source[1] * source[2])
                if whole_rows
                else (source[0] * source[1], source[2])
            )
        ),
        code=copy_code(source[1] * source[2] if whole_rows else source[2]),
    )


def portable_rearrange(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of a change of order: nested loops around a run of adjacent bytes."""
    attributes = operator.attributes
    if not isinstance(attributes, Rearrange):
        raise TypeError(f"{operator.name} is not a rearrangement")
    elements = prod(attributes.shape)
    in_place = moves_nothing(attributes, graph.tensors[operator.inputs[0]].shape)
    loops, run = attributes.axes, 1
    if loops and loops[-1][1] == 1:
        loops, run = loops[:-1], loops[-1][0]
    axes = "_".join(f"{size}by{stride}".replace("-", "minus") for size, stride in attributes.axes)
    start = f"_from_{attributes.offset}" if attributes.offset else ""
    return Kernel(
        variant="portable",
        function=f"rearrange_{axes or 'one'}{start}" + ("_in_place" if in_place else ""),
        template="rearrange.c.j2",
        settings={
            "title": attributes.name,
            "elements": elements,
            "axes": attributes.axes,
            "offset": attributes.offset,
            "loops": loops,
            "run": run,
            "moves_nothing": in_place,
        },
        parameters_type=None,
        arrays=(),
        pack=no_constants,
        overwrites=(0,) if in_place else (),
        work={} if in_place else _rearranging([size for size, _ in loops], run),
        code={}
        if in_place
        else {"loops": sum(size > 1 for size, _ in loops)} | (copy_code(run) if run > 1 else {}),
    )


def _rearranging(loops: list[int], run: int) -> dict[str, int]:
    """Turns of the loops, and what the innermost moves: a byte, or a run of them."""
    turns, inner = prod(loops), loops[-1] if loops else 1
    if run == 1:
        return {"bytes": turns, "rows": turns // inner}
    return {"turns": turns, "rows": turns // inner} | copies(turns, run)


def _sum(parts: Iterable[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return total


def _pack_pad(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    if not isinstance(integers, PadIntegers):
        raise TypeError(f"{operator.name} is not a pad")
    return LayerConstants({}, {"value": str(integers.value)})


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
