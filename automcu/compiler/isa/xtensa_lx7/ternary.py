"""Convolution with ternary weights, four pixels side by side in 16-bit lanes of two 32-bit words.

The same tables of sums as on armv7e-m (`armv7e_m/ternary.py`), for cores without packed additions:
a word holds upper * 2^16 + lower, so that one addition adds both lanes. A negative lower lane
borrows from the upper one, which a bias of 2^15 before the shift puts right when lanes are read.
The tables of a pass lie one behind the other: Xtensa's ADDX8 finds an entry of eight bytes.
"""

from dataclasses import dataclass

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops import Convolution
from automcu.compiler.ops.portable_ternary import (
    gathering,
    pack_ternary_layer,
    ternary_arrays,
    ternary_function_name,
    ternary_settings,
)
from automcu.compiler.ops.ternary_packing import (
    PASS,
    SUMS,
    WEIGHTS_PER_BYTE,
    gray_code,
)

PIXELS = 4
MOST_GROUPS = 51  # of five inputs of magnitude 128 that 16 bits can sum
SECTION = 12  # passes; with a last, shorter one these are at most MOST_GROUPS groups
_WORDS = PIXELS // 2
_WORD_BYTES = 4
_TABLE_WORDS = SUMS * _WORDS
_PLACES = ("first", "second", "third")


@dataclass(frozen=True)
class AddCall:
    """A function that adds a pass of so many groups, some channels at a time."""

    groups: int
    unrolled: int

    @property
    def name(self) -> str:
        """What the function is called in C."""
        return f"ternary_lanes_add_{self.groups}x{self.unrolled}"


def ternary_lanes(operator: Operator, graph: Graph) -> Kernel:
    """The kernel in portable C, meant for cores of 32 bits without packed arithmetic."""
    settings = ternary_settings(operator, graph)
    channels, depth = int(settings["out_channels"]), int(settings["depth"])
    groups, pixels = int(settings["weight_groups"]), int(settings["out_pixels"])
    whole = groups // PASS if depth % WEIGHTS_PER_BYTE == 0 else (groups - 1) // PASS
    rest = groups - whole * PASS
    unrolled = next(n for n in (4, 2, 1) if channels % n == 0)
    calls = [AddCall(PASS, unrolled)] * bool(whole) + [AddCall(rest, unrolled)] * bool(rest)
    wide = groups > MOST_GROUPS
    sums_offset = PASS * _TABLE_WORDS * _WORD_BYTES
    totals_offset = sums_offset + _WORDS * _WORD_BYTES * channels
    patch_offset = totals_offset + (PIXELS * _WORD_BYTES * channels if wide else 0)
    blocks = -(-pixels // PIXELS)
    residual = _attributes(operator).sum_scale is not None
    return Kernel(
        variant="ternary in lanes",
        function=f"{ternary_function_name(settings)}_lanes",
        template="ternary_lanes.c.j2",
        settings=settings
        | {
            "wide": wide,
            "section": SECTION,
            "whole_passes": whole,
            "rest": rest,
            "table_words": _TABLE_WORDS,
            "sums_offset": sums_offset,
            "totals_offset": totals_offset,
            "patch_offset": patch_offset,
            "lane_calls": calls,
            "add_whole": AddCall(PASS, unrolled).name,
            "add_rest": AddCall(rest, unrolled).name,
        },
        parameters_type="ternary_parameters",
        arrays=ternary_arrays(operator, settings),
        pack=pack_ternary_layer,
        scratch_bytes=patch_offset + (PIXELS * depth if settings["gathers"] else 0),
        overwrites=(1,) if residual else (),
        work={
            **lookup_work("ternary_lanes", blocks, groups, channels, whole if wide else None),
            "outputs": blocks * PIXELS * channels,
            "added": blocks * PIXELS * channels if residual else 0,
            "amplified": blocks * PIXELS * channels if settings["amplifies"] else 0,
            **gathering(settings, blocks * PIXELS),
        },
    )


def lookup_work(
    unit: str, blocks: int, groups: int, channels: int, whole_when_wide: int | None
) -> dict[str, int]:
    """What look-up in tables takes, for the latency model; `unit` names whose figures count.

    `blocks` of pixels are looked up together, with `groups` of five weights for each channel. Sums
    that outgrow 16 bits are moved away after each section of the whole passes, if there are any.
    """
    passes = blocks * -(-groups // PASS)
    sections = 0 if whole_when_wide is None else whole_when_wide // SECTION + 1
    return {
        f"{unit}/tables": blocks * groups,
        f"{unit}/lookups": blocks * groups * channels,
        f"{unit}/sums": passes * channels,
        f"{unit}/passes": passes,
        f"{unit}/moves": blocks * channels * sections,
    }


def lane_functions(kernels: tuple[Kernel, ...]) -> dict[str, object]:
    """What the template of shared functions is told; empty where no kernel needs them."""
    used = {call for kernel in kernels for call in _calls(kernel)}
    if not used:
        return {}
    calls = sorted(used, key=lambda call: (call.groups, call.unrolled))
    return {"calls": calls, "steps": _steps(), "table_words": _TABLE_WORDS}


def _calls(kernel: Kernel) -> list[AddCall]:
    calls = kernel.settings.get("lane_calls")
    return calls if isinstance(calls, list) else []


def _steps() -> list[dict[str, object]]:
    """How each of 27 entries comes from that before it: by one input more, or one less."""
    steps: list[dict[str, object]] = []
    before = (0, 0, 0)
    for digits in gray_code():
        changed = next((i for i in range(3) if digits[i] != before[i]), None)
        rises = changed is not None and digits[changed] > before[changed]
        steps.append(
            {
                "operation": "" if changed is None else "+" if rises else "-",
                "place": "" if changed is None else _PLACES[changed],
                "entry": digits[0] + 3 * digits[1] + 9 * digits[2],
            }
        )
        before = digits
    return steps


def _attributes(operator: Operator) -> Convolution:
    attributes = operator.attributes
    if not isinstance(attributes, Convolution):
        raise TypeError(f"{operator.name} is not a convolution")
    return attributes
