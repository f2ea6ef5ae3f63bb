"""An operator that the compiler does not have: the sum of a pixel's channels up to each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import Requantisation
from automcu.compiler.graph import Attributes
from automcu.compiler.kernel import REQUANTISATION, Field, Kernel, LayerConstants, Parameters
from automcu.compiler.read.builder import Activation
from automcu.compiler.read.node import ImportContext, Node
from automcu.compiler.tensor import Quantisation, Shape, Tensor, Values

_INPUT_SPAN = 255

PARAMETERS = Parameters(
    "running_sum_parameters",
    {
        "input_zero_point": "int32_t",
        "multiplier": Field("int32_t", "of sums, with 32 binary places"),
        "scaling": REQUANTISATION,
    },
)


@dataclass(frozen=True)
class RunningSumIntegers:
    scaling: Requantisation
    input_zero_point: int


@dataclass(frozen=True)
class RunningSum(Attributes):
    """`channels` are those of the input, which bound the sums."""

    channels: int

    def title(self, source: Shape) -> str:
        return "running sum"

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> RunningSumIntegers:
        ratio = np.array([sources[0].scale / result.scale])
        bound = _INPUT_SPAN * self.channels
        scaling = fixed_point.requantisation(ratio, bound, result.zero_point)
        return RunningSumIntegers(scaling, sources[0].zero_point)

    def reference(self, inputs: tuple[Values, ...], integers: RunningSumIntegers) -> Values:
        sums = np.cumsum(inputs[0].astype(np.int64) - integers.input_zero_point, axis=-1)
        return fixed_point.requantise(sums, integers.scaling)

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        height, width, channels = output.shape
        return Kernel(
            cost_key="portable-running_sum",
            function=f"running_sum_{height * width}x{channels}",
            template=Path(__file__).with_name("running_sum.c.j2"),
            settings={"pixels": height * width, "channels": channels},
            parameters=PARAMETERS,
            pack=_pack,
            overwrites=(0,),
            work={"outputs": output.size},
        )


def _pack(integers: RunningSumIntegers) -> LayerConstants:
    constants = PARAMETERS.constants(
        {
            "input_zero_point": integers.input_zero_point,
            "multiplier": int(integers.scaling.multipliers[0]),
            "scaling": integers.scaling,
        }
    )
    return LayerConstants({}, constants)


def read_cumulative_sum(node: Node, context: ImportContext) -> None:
    """ONNX's CumSum along the channels of an image."""
    source = context.builder.computed(context.activation(node), node.layer)
    channels = context.builder.tensors[source.tensor].shape[2]
    result = context.builder.add(node.layer, (source.tensor,), RunningSum(channels))
    context.set_output(node, Activation(result, source.view))
