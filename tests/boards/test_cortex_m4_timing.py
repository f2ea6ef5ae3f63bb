import pytest

from automcu.boards.timing.blocks import decode
from automcu.boards.timing.cortex_m4 import time_instructions
from tests.boards.conftest import Builder


def cycles(build: Builder, source: str) -> list[int]:
    return [time.cycles for time in time_instructions(decode(build.code(source), 0x0800_0008))]


def penalties(build: Builder, source: str) -> list[int]:
    times = time_instructions(decode(build.code(source), 0x0800_0008))
    return [time.taken_penalty for time in times]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("add r0, r1, r2; eor r0, r1; lsls r0, r1, #3", [1, 1, 1]),
        ("mul r0, r1, r2; mla r0, r1, r2, r3; smlad r0, r1, r2, r3; sxtb16 r0, r1", [1] * 4),
        ("smull r0, r1, r2, r3; umlal r0, r1, r2, r3; ssat r0, #8, r1", [1] * 3),
        ("str r0, [r1]; strb r0, [r1, #1]; strd r0, r1, [r2]", [1, 1, 2]),
        ("sdiv r0, r1, r2; udiv r0, r1, r2", [6, 6]),
        ("vdiv.f32 s0, s1, s2; vsqrt.f32 s0, s1; vadd.f32 s0, s1, s2", [14, 14, 1]),
        ("vfma.f32 s0, s1, s2; vmla.f32 s0, s1, s2", [3, 3]),
        ("push {r4-r7, lr}; pop {r4-r7}", [6, 5]),
        ("ldm r0, {r1-r4}; stm r0!, {r1, r2}", [5, 3]),
        ("vpush {s16-s19}; vpop {s16-s19}", [5, 5]),
        ("ldrd r0, r1, [r2]", [3]),
    ],
)
def test_single_instructions_cost_what_the_manual_says(
    build: Builder, source: str, expected: list[int]
) -> None:
    assert cycles(build, source) == expected


def test_loads_in_a_row_overlap() -> None:
    """ldr r0,[r4]; ldr r1,[r4,#4]; ldrb r2,[r5]; ldrd r6,r7,[r4]"""
    code = bytes.fromhex("2068 6168 2a78 d4e90067")
    assert [time.cycles for time in time_instructions(decode(code, 0))] == [2, 1, 1, 2]


def test_a_load_that_waits_for_its_address_does_not_overlap(build: Builder) -> None:
    assert cycles(build, "ldr r0, [r4]; ldr r1, [r0]") == [2, 2]
    assert cycles(build, "ldr r0, [r4]; ldr r1, [r5, r0]") == [2, 2]


def test_a_load_after_anything_else_does_not_overlap(build: Builder) -> None:
    assert cycles(build, "ldr r0, [r4]; adds r0, #1; ldr r1, [r4]") == [2, 1, 2]
    assert cycles(build, "ldm r4, {r0, r1}; ldr r2, [r4]") == [3, 2]


def test_only_what_leaves_the_line_has_a_penalty(build: Builder) -> None:
    assert penalties(build, "1: adds r0, #1; bne 1b; cbz r0, 1f; nop; 1: bx lr") == [0, 2, 2, 0, 2]
    assert penalties(build, "1: bl 1b; bls 1b; bls.w 1b; pop {r4, pc}; ldr pc, [r0]") == [2] * 5
    assert penalties(build, "tbb [pc, r0]") == [2]


def test_halfwords_that_are_no_instruction_count_as_one_each() -> None:
    decoded = decode(bytes.fromhex("00bf ffff ffff 00bf"), 0x100)
    assert [i.address for i in decoded] == [0x100, 0x102, 0x104, 0x106]
    assert [time.cycles for time in time_instructions(decoded)] == [1, 1, 1, 1]
