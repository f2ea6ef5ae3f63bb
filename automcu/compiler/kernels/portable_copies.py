"""Kernels that only move bytes: concatenate, pad, rearrange."""

from math import prod

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernels.kernel import Kernel, LayerConstants, no_constants
from automcu.compiler.lowering import Integers
from automcu.compiler.operators import Concatenate, Pad, Rearrange
from automcu.compiler.operators.pad import PadIntegers
from automcu.compiler.operators.rearrange import moves_nothing


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
        work={"outputs": rows * sum(chunks), "copies": rows * len(chunks)},
        code={"copies": len(chunks)},
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
        work={
            "outputs": prod(result),
            "copies": source[0] if whole_rows else source[0] * source[1],
        },
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
        work={} if in_place else {"outputs": elements, "copies": elements // run},
        code={} if in_place else {"loops": len(loops)},
    )


def _pack_pad(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    if not isinstance(integers, PadIntegers):
        raise TypeError(f"{operator.name} is not a pad")
    return LayerConstants({}, {"value": str(integers.value)})


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
