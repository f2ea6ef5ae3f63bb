"""Add, rescale and average pool on armv7e-m: four neighbouring values in one word.

They compute what the portable kernels compute, from the same parameters, with saturation instead
of comparisons, so that their time does not depend on the data.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from automcu.compiler.isa.instruction_set import ARMV7E_M
from automcu.compiler.kernel import Kernel, cost_key
from automcu.compiler.ops.arithmetic import Add, is_wide_sum
from automcu.compiler.ops.pointwise import Rescale
from automcu.compiler.ops.pool import AveragePool
from automcu.compiler.tensor import NO_CLAMP, Tensor, pixel_counts, window_class
from automcu.mcu.core import Core

_LANES = 4
_MOST_TAPS = 256  # of int8 that a 16-bit lane can sum


@ARMV7E_M.register(Add)
def armv7e_m_add(
    attributes: Add, inputs: tuple[Tensor, ...], output: Tensor, core: Core
) -> Iterator[Kernel]:
    """None where values do not come in whole words, or multipliers do not fit halves of one."""
    if output.size % _LANES == 0 and not is_wide_sum(inputs, output):
        yield _four_at_a_time("add", attributes, inputs, output)


@ARMV7E_M.register(Rescale)
def armv7e_m_rescale(
    attributes: Rescale, inputs: tuple[Tensor, ...], output: Tensor, core: Core
) -> Iterator[Kernel]:
    """None where the values do not come in whole words."""
    if output.size % _LANES == 0:
        yield _four_at_a_time("rescale", attributes, inputs, output)


def _four_at_a_time(
    name: str, attributes: Add | Rescale, inputs: tuple[Tensor, ...], output: Tensor
) -> Kernel:
    kernel = attributes.kernel(inputs, output)
    clamps = attributes.clamp != NO_CLAMP
    return replace(
        kernel,
        isa="armv7e-m",
        variant="armv7e-m",
        cost_key=cost_key(f"armv7e_m_{name}", clamps=clamps),
        function=kernel.function + ("_clamp" if clamps else "") + "_by4",
        template=Path(__file__).with_name(f"{name}.c.j2"),
        settings={**kernel.settings, "clamps": clamps},
        work={"words": output.size // _LANES},
    )


@ARMV7E_M.register(AveragePool)
def armv7e_m_average_pool(
    attributes: AveragePool, inputs: tuple[Tensor, ...], output: Tensor, core: Core
) -> Iterator[Kernel]:
    """None where channels do not come in whole words."""
    height, width, channels = inputs[0].shape
    window = attributes.window
    if (
        channels % _LANES
        or window.dilation != (1, 1)
        or attributes.clamp != NO_CLAMP
        or window.height * window.width > _MOST_TAPS
    ):
        return
    kernel = attributes.kernel(inputs, output)
    quads, pixels = channels // _LANES, output.shape[0] * output.shape[1]
    kind = window_class(window, output.shape[0])
    yield replace(
        kernel,
        isa="armv7e-m",
        variant="armv7e-m",
        cost_key=cost_key("armv7e_m_average_pool", cut=kernel.settings["cut"]),
        function=f"{kernel.function}_by4",
        template=Path(__file__).with_name("average_pool.c.j2"),
        work={
            "pixels": pixels,
            f"words_{kind}": quads * pixels,
            f"rows_{kind}": quads * pixels * window.height,
            f"taps_{kind}": quads * int(pixel_counts(window, height, width).sum()),
        },
    )
