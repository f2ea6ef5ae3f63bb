"""Convolution with ternary weights on armv7e-m: four pixels side by side in 16-bit lanes.

For each group of five inputs a table of all 243 signed sums is built, for four pixels at once; a
byte of weights then costs one look-up and two packed additions for twenty multiply-accumulates.
Sums of 16 bits hold 255 inputs: after `SECTION` passes they move to 32 bits. The idea of the
tables is that of T-MAC (Wei et al., EuroSys 2025) and bitnet.cpp's TL kernels.

The two inner loops are assembly. Entries of the tables of a pass lie side by side, so that one base
register and fixed offsets reach them all. Loads stand behind one another, where each but the first
takes one cycle (Cortex-M4 Technical Reference Manual, ARM 100166, 3.3.3).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from automcu.compiler.isa.instruction_set import ARMV7E_M
from automcu.compiler.kernel import Kernel, SharedCode, cost_key
from automcu.compiler.ops.convolution import Convolution
from automcu.compiler.ops.ternary import (
    PARAMETERS,
    PASS,
    LanePlan,
    gray_code,
    pack_ternary_layer,
    ternary_layer,
)
from automcu.compiler.tensor import NO_CLAMP, Tensor
from automcu.mcu.core import Core

ENTRY_BYTES = 8  # four sums of 16 bits
ROW_BYTES = PASS * ENTRY_BYTES  # entries of one weight byte's value
BLOCK = 27  # entries that are built without a loop: all places of three weights
BLOCKS = 9
STARTS_BYTES = BLOCKS * ENTRY_BYTES
_TABLES, _GROUP = "ternary_tables", "ternary_group"  # functions in C
_SYNTAX = ".syntax unified"  # GCC takes inline assembly for the older syntax otherwise


@ARMV7E_M.register(Convolution)
def armv7e_m_ternary(
    attributes: Convolution, inputs: tuple[Tensor, ...], output: Tensor, core: Core
) -> Iterator[Kernel]:
    """The kernel of a layer with ternary weights.

    A clamp between convolution and sum is rare; the portable kernel has it.
    """
    if not attributes.ternary or (attributes.adds and attributes.clamp != NO_CLAMP):
        return
    layer = ternary_layer(attributes, inputs, output)
    plan = LanePlan(layer)
    clamps = "" if attributes.final_clamp == NO_CLAMP else "sum" if attributes.adds else "scaling"
    add_whole = add_function_name(PASS, plan.unrolled)
    add_rest = add_function_name(plan.rest, plan.unrolled)
    yield Kernel(
        isa="armv7e-m",
        variant="armv7e-m ternary",
        cost_key=cost_key("armv7e_m_ternary", residual=attributes.adds, clamps=clamps),
        function=layer.function + ("_clamp" if clamps else "") + "_by4",
        template=Path(__file__).with_name("ternary.c.j2"),
        settings=plan.settings
        | {
            "clamps": clamps,
            "ternary_calls": plan.calls,
            "add_whole": add_whole,
            "add_rest": add_rest,
        },
        parameters=PARAMETERS,
        arrays=layer.arrays,
        pack=pack_ternary_layer,
        scratch_bytes=plan.scratch_bytes,
        overwrites=(1,) if attributes.adds else (),
        weight_order=(layer.gathers,),
        work=plan.work("ternary_by4"),
        shared_functions=(_TABLES, _GROUP),
        helpers=(add_whole, add_rest),
        shared_code=(TERNARY_FUNCTIONS,),
    )


@dataclass(frozen=True)
class Function:
    """A naked function of the assembly `lines`."""

    name: str
    lines: tuple[str, ...]
    comment: str
    parameters: tuple[str, ...]


def add_function_name(groups: int, unrolled: int) -> str:
    """The function that adds a pass of so many groups to the sums of all channels."""
    return f"ternary_add_{groups}x{unrolled}"


def _functions(kernels: Sequence[Kernel]) -> dict[str, object]:
    """The functions that a program's ternary kernels call."""
    used = {call for kernel in kernels for call in _add_calls(kernel)}
    adds = [_add_function(groups, unrolled) for groups, unrolled in sorted(used)]
    return {"functions": [_tables_function(), *adds]}


TERNARY_FUNCTIONS = SharedCode(Path(__file__).with_name("ternary.h.j2"), _functions, order=1)


def _add_calls(kernel: Kernel) -> list[tuple[int, int]]:
    """Groups and unrolling of the adding functions that a kernel calls; none if not ternary."""
    calls = kernel.settings.get("ternary_calls")
    return calls if isinstance(calls, list) else []


def _tables_function() -> Function:
    return Function(
        _TABLES,
        tuple(_tables_lines()),
        "All 243 sums of five inputs, four pixels at once, from the nine with three taken -1 times",
        ("uint32_t *table", "const uint32_t *starts"),
    )


def _tables_lines() -> Iterator[str]:
    """r0 the table, r1 the starts, r10 their end; r2, r3 the sum; r4 to r9 the first inputs."""
    yield _SYNTAX
    yield "push {r4-r10, lr}"
    for place in range(3):
        yield f"ldrd r{4 + 2 * place}, r{5 + 2 * place}, [r1, #{STARTS_BYTES + 8 * place}]"
    yield f"add r10, r1, #{STARTS_BYTES}"
    yield "1:"
    yield "ldrd r2, r3, [r1], #8"
    before = (0, 0, 0)
    for digits in gray_code():
        for place in range(3):
            if digits[place] != before[place]:
                operation = "sadd16" if digits[place] > before[place] else "ssub16"
                yield f"{operation} r2, r2, r{4 + 2 * place}"
                yield f"{operation} r3, r3, r{5 + 2 * place}"
        offset = ROW_BYTES * (digits[0] + 3 * digits[1] + 9 * digits[2])
        yield f"str r2, [r0, #{offset}]"
        yield f"str r3, [r0, #{offset + 4}]"
        before = digits
    yield f"add r0, r0, #{BLOCK * ROW_BYTES}"
    yield "cmp r1, r10"
    yield "bne 1b"
    yield "pop {r4-r10, pc}"


def _add_function(groups: int, unrolled: int) -> Function:
    return Function(
        add_function_name(groups, unrolled),
        tuple(_add_lines(groups, unrolled)),
        f"Add what {groups} bytes of weights stand for to each channel's sums, for four pixels",
        ("const uint8_t *weights", "const uint32_t *tables", "uint32_t *sums", "int32_t channels"),
    )


def _add_lines(groups: int, unrolled: int) -> Iterator[str]:
    """r0 weights, r1 tables, r2 sums, r3 their end; r8, r9 the channel's sums."""
    entries = [
        (f"r{4 + group}", second) for group, second in enumerate(("r10", "r11", "r12", "lr"))
    ]
    entries = entries[:groups]
    yield _SYNTAX
    yield "push {r4-r11, lr}"
    yield "add r3, r2, r3, lsl #3"
    yield "1:"
    for channel in range(unrolled):
        for group, (entry, _) in enumerate(entries):
            yield f"ldrb {entry}, [r0, #{channel * groups + group}]"
        for entry, _ in entries:
            yield f"add {entry}, r1, {entry}, lsl #5"
        yield f"ldr r8, [r2, #{ENTRY_BYTES * channel}]"
        yield f"ldr r9, [r2, #{ENTRY_BYTES * channel + 4}]"
        for group, (entry, second) in enumerate(entries):
            yield f"ldr {second}, [{entry}, #{ENTRY_BYTES * group}]"
            yield f"ldr {entry}, [{entry}, #{ENTRY_BYTES * group + 4}]"
        for entry, second in entries:
            yield f"sadd16 r8, r8, {second}"
            yield f"sadd16 r9, r9, {entry}"
        yield f"str r8, [r2, #{ENTRY_BYTES * channel}]"
        yield f"str r9, [r2, #{ENTRY_BYTES * channel + 4}]"
    yield f"add r0, r0, #{groups * unrolled}"
    yield f"add r2, r2, #{ENTRY_BYTES * unrolled}"
    yield "cmp r2, r3"
    yield "bne 1b"
    yield "pop {r4-r11, pc}"
