"""Kernels for cores of 32 bits without packed arithmetic: attention, and ternary convolution.

Of attention a word holds four channels. Bytes are cut from words unsigned, after all of a word were
moved up by 128 with one exclusive or: a core without signed loads of bytes needs three instructions
a byte otherwise. Two queries share what is cut. Scratch grows with the number of pixels, not with
its square.

Ternary convolution has four pixels side by side in 16-bit lanes of two words, and the same tables
of sums as on armv7e-m (`armv7e_m/ternary.py`): a word holds upper * 2^16 + lower, so that one
addition adds both lanes. A negative lower lane borrows from the upper one, which a bias of 2^15
before the shift puts right when lanes are read. The tables of a pass lie one behind the other:
Xtensa's ADDX8 finds an entry of eight bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from automcu.compiler.isa.instruction_set import XTENSA_LX7
from automcu.compiler.kernel import Kernel, SharedCode
from automcu.compiler.ops.attention import PARAMETERS as ATTENTION_PARAMETERS
from automcu.compiler.ops.attention import PARTS, Attention, attention_shape, pack_attention
from automcu.compiler.ops.convolution import Convolution
from automcu.compiler.ops.ternary import PARAMETERS as TERNARY_PARAMETERS
from automcu.compiler.ops.ternary import (
    PASS,
    PIXELS,
    SUMS,
    LanePlan,
    gray_code,
    pack_ternary_layer,
    ternary_layer,
)
from automcu.compiler.tensor import Tensor
from automcu.mcu.core import Core

_WORD_CHANNELS = 4
_QUERIES = 2
_WORD_BYTES = 4
_TABLE_WORDS = SUMS * PIXELS // 2
_PLACES = ("first", "second", "third")


@XTENSA_LX7.register(Attention)
def attention_by_words(
    attributes: Attention, inputs: tuple[Tensor, ...], output: Tensor, core: Core
) -> Iterator[Kernel]:
    """The kernel; none where heads are no whole words."""
    shape = attention_shape(attributes, inputs[0], output)
    pixels, depth, heads = shape.pixels, shape.depth, shape.heads
    if depth % _WORD_CHANNELS:
        return
    queries_offset = _QUERIES * _WORD_BYTES * pixels
    pairs = heads * -(-pixels // _QUERIES)  # of queries
    yield Kernel(
        isa="xtensa-lx7",
        variant="attention by words",
        cost_key="attention_words",
        function=f"{shape.function}_words",
        template=Path(__file__).with_name("attention.c.j2"),
        settings=shape.settings
        | {
            "stride_words": PARTS * heads * depth // _WORD_CHANNELS,
            "queries_offset": queries_offset,
        },
        parameters=ATTENTION_PARAMETERS,
        pack=pack_attention,
        scratch_bytes=queries_offset + _QUERIES * _WORD_BYTES * depth,
        work={
            "macs": pairs * _QUERIES * pixels * depth,  # of scores; those of means are as many
            "scores": pairs * pixels,
            "words": pairs * depth // _WORD_CHANNELS,
            "queries": pairs,
        },
    )


@dataclass(frozen=True)
class AddCall:
    """A function that adds a pass of so many groups, some channels at a time."""

    groups: int
    unrolled: int

    @property
    def name(self) -> str:
        """What the function is called in C."""
        return f"ternary_lanes_add_{self.groups}x{self.unrolled}"


@XTENSA_LX7.register(Convolution)
def ternary_in_lanes(
    attributes: Convolution, inputs: tuple[Tensor, ...], output: Tensor, core: Core
) -> Iterator[Kernel]:
    """The kernel of a layer with ternary weights."""
    if not attributes.ternary:
        return
    layer = ternary_layer(attributes, inputs, output)
    plan = LanePlan(layer)
    add_whole, add_rest = AddCall(PASS, plan.unrolled).name, AddCall(plan.rest, plan.unrolled).name
    work = plan.work("ternary_lanes")
    yield Kernel(
        isa="xtensa-lx7",
        variant="ternary in lanes",
        cost_key="ternary_lanes",
        function=f"{layer.function}_lanes",
        template=Path(__file__).with_name("ternary.c.j2"),
        settings=plan.settings
        | {
            "table_words": _TABLE_WORDS,
            "lane_calls": [AddCall(*call) for call in plan.calls],
            "add_whole": add_whole,
            "add_rest": add_rest,
        },
        parameters=TERNARY_PARAMETERS,
        arrays=layer.arrays,
        pack=pack_ternary_layer,
        scratch_bytes=plan.scratch_bytes,
        overwrites=(1,) if attributes.adds else (),
        weight_order=(layer.gathers,),
        work=work | {"added": work["outputs"] if attributes.adds else 0},
        code={"added": int(attributes.adds), "window": int(layer.gathers)},
        shared_functions=("ternary_lanes_table",),
        helpers=(add_whole, add_rest),
        shared_code=(LANE_FUNCTIONS,),
    )


def _lane_functions(kernels: Sequence[Kernel]) -> dict[str, object]:
    """The functions that a program's kernels call."""
    used = {call for kernel in kernels for call in _calls(kernel)}
    calls = sorted(used, key=lambda call: (call.groups, call.unrolled))
    return {"calls": calls, "steps": _steps(), "table_words": _TABLE_WORDS}


def _calls(kernel: Kernel) -> list[AddCall]:
    calls = kernel.settings.get("lane_calls")
    return calls if isinstance(calls, list) else []


LANE_FUNCTIONS = SharedCode(Path(__file__).with_name("ternary.h.j2"), _lane_functions, order=2)


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
