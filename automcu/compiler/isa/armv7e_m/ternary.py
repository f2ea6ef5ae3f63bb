"""Convolution with ternary weights on armv7e-m: four pixels side by side in 16-bit lanes.

For each group of five inputs a table of all 243 signed sums is built, for four pixels at once; a
byte of weights then costs one look-up and two packed additions for twenty multiply-accumulates.
Sums of 16 bits hold 255 inputs: after `SECTION` passes they move to 32 bits. The idea of the
tables is that of T-MAC (Wei et al., EuroSys 2025) and bitnet.cpp's TL kernels.
"""

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.isa.armv7e_m.ternary_assembly import (
    ROW_BYTES,
    add_function_name,
)
from automcu.compiler.isa.xtensa_lx7.ternary import (
    MOST_GROUPS,
    PIXELS,
    SECTION,
    lookup_work,
)
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops import Convolution
from automcu.compiler.ops.clamp import NO_CLAMP
from automcu.compiler.ops.portable_ternary import (
    gathering,
    pack_ternary_layer,
    ternary_arrays,
    ternary_function_name,
    ternary_settings,
)
from automcu.compiler.ops.ternary_packing import PASS, SUMS, WEIGHTS_PER_BYTE

_SUM_BYTES = 2
_TOTAL_BYTES = 4


def armv7e_m_ternary(operator: Operator, graph: Graph) -> tuple[Kernel, ...]:
    """The kernel for cores with the DSP extension; none where it cannot carry out the layer."""
    attributes = operator.attributes
    if not isinstance(attributes, Convolution) or (
        attributes.sum_scale is not None and attributes.clamp != NO_CLAMP
    ):
        return ()  # a clamp between convolution and sum is rare; the portable kernel has it
    settings = ternary_settings(operator, graph)
    channels, depth = attributes.out_channels, int(settings["depth"])
    groups, pixels = int(settings["weight_groups"]), int(settings["out_pixels"])
    whole = groups // PASS if depth % WEIGHTS_PER_BYTE == 0 else (groups - 1) // PASS
    rest = groups - whole * PASS
    unrolled = next(n for n in (4, 2, 1) if channels % n == 0)
    sums_offset = SUMS * ROW_BYTES
    totals_offset = sums_offset + PIXELS * _SUM_BYTES * channels
    wide = groups > MOST_GROUPS
    patch_offset = totals_offset + (PIXELS * _TOTAL_BYTES * channels if wide else 0)
    residual = attributes.sum_scale is not None
    clamp = attributes.sum_clamp if residual else attributes.clamp
    clamps = "" if clamp == NO_CLAMP else ("sum" if residual else "scaling")
    blocks = -(-pixels // PIXELS)
    calls = [(PASS, unrolled)] * bool(whole) + [(rest, unrolled)] * bool(rest)
    kernel = Kernel(
        variant="armv7e-m ternary",
        function=ternary_function_name(settings) + ("_clamp" if clamps else "") + "_by4",
        template="armv7e_m_ternary.c.j2",
        settings=settings
        | {
            "clamps": clamps,
            "wide": wide,
            "section": SECTION,
            "whole_passes": whole,
            "rest": rest,
            "sums_offset": sums_offset,
            "totals_offset": totals_offset,
            "patch_offset": patch_offset,
            "ternary_calls": calls,
            "add_whole": add_function_name(PASS, unrolled),
            "add_rest": add_function_name(rest, unrolled),
        },
        parameters_type="ternary_parameters",
        arrays=ternary_arrays(operator, settings),
        pack=pack_ternary_layer,
        scratch_bytes=patch_offset + (PIXELS * depth if settings["gathers"] else 0),
        overwrites=(1,) if residual else (),
        work={
            **lookup_work("ternary_by4", blocks, groups, channels, whole if wide else None),
            "outputs": blocks * PIXELS * channels,
            "amplified": blocks * PIXELS * channels if settings["amplifies"] else 0,
            **gathering(settings, blocks * PIXELS),
        },
    )
    return (kernel,)
