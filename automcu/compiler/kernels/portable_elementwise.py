"""Add and rescale in portable C; both may write over an operand."""

from automcu.compiler import fixed_point
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernels.kernel import Kernel, LayerConstants
from automcu.compiler.kernels.parameters import add_fields, requantisation_fields
from automcu.compiler.lowering import Integers
from automcu.compiler.operators.rescale import RescaleIntegers


def portable_add(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of an addition."""
    elements = graph.tensors[operator.output].size
    return Kernel(
        variant="portable",
        function=f"add_{elements}",
        template="add.c.j2",
        settings={"elements": elements},
        parameters_type="add_scaling",
        arrays=(),
        pack=_pack_add,
        overwrites=(0, 1),
        work={"outputs": elements},
    )


def portable_rescale(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of a change of scale."""
    elements = graph.tensors[operator.output].size
    return Kernel(
        variant="portable",
        function=f"rescale_{elements}",
        template="rescale.c.j2",
        settings={"elements": elements},
        parameters_type="rescale_parameters",
        arrays=(),
        pack=_pack_rescale,
        overwrites=(0,),
        work={"outputs": elements},
    )


def _pack_add(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    if not isinstance(integers, fixed_point.AddScaling):
        raise TypeError(f"{operator.name} is not an addition")
    return LayerConstants({}, add_fields(integers))


def _pack_rescale(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    if not isinstance(integers, RescaleIntegers):
        raise TypeError(f"{operator.name} is not a rescaling")
    return LayerConstants(
        {},
        {
            "input_zero_point": str(integers.input_zero_point),
            "multiplier": str(int(integers.scaling.multipliers[0])),
            "scaling": requantisation_fields(integers.scaling),
        },
    )
