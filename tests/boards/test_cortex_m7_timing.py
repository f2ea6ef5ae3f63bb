import pytest

from automcu.boards.timing.blocks import decode
from automcu.boards.timing.cortex_m7 import time_instructions
from tests.boards.conftest import Builder


def cycles(build: Builder, source: str) -> list[int]:
    code = build.code(source, "cortex-m7")
    return [time.cycles for time in time_instructions(decode(code, 0x0800_0008))]


@pytest.mark.parametrize(
    ("why", "source", "expected"),
    [
        ("independent arithmetic pairs", "add r0, r1, r2; add r3, r4, r5", [1, 0]),
        ("three need two cycles", "mov r0, r4; mov r1, r5; mov r2, r6", [1, 0, 1]),
        ("a result can be used in the next cycle", "add r0, r1, r2; add r3, r0, r4", [1, 1]),
        ("a loaded value after two", "ldr r0, [r1]; add r2, r0, r3", [1, 2]),
        ("a product after two", "mul r0, r1, r2; add r3, r0, r4", [1, 2]),
        ("an accumulator one cycle earlier", "smlad r0, r1, r2, r0; smlad r0, r3, r4, r0", [1, 1]),
        ("no two multiplications in a pair", "mul r0, r1, r2; mul r3, r4, r5", [1, 1]),
        ("no two loads in a pair", "ldr r0, [r4]; ldr r1, [r5]", [1, 1]),
        ("no two stores in a pair", "str r0, [r4]; str r1, [r5]", [1, 1]),
        ("no load with a store", "ldr r0, [r4]; str r1, [r5]", [1, 1]),
        ("a load pairs with arithmetic", "ldr r0, [r4]; add r1, r2, r3", [1, 0]),
        ("a base that is written back is early", "ldr r0, [r4], #4; add r1, r4, r2", [1, 1]),
        ("a pointer's target is late", "ldr r0, [r0]; add r1, r0, r2", [1, 2]),
        ("lists take two registers a cycle", "nop; pop {r4-r7}; nop", [1, 2, 1]),
        ("division blocks", "nop; sdiv r0, r1, r2; nop", [1, 6, 1]),
    ],
)
def test_pairs_and_latencies(build: Builder, why: str, source: str, expected: list[int]) -> None:
    assert cycles(build, source) == expected, why


def test_a_branch_target_starts_a_pair_of_its_own(build: Builder) -> None:
    straight = cycles(build, "mov r4, r5; mov r0, r1; b 1f; 1: nop")
    target = cycles(build, "mov r4, r5; 1: mov r0, r1; b 1b; nop")
    assert straight[:2] == [1, 0]
    assert target[:2] == [1, 1]


def test_branches_cost_one_and_unpredicted_jumps_three(build: Builder) -> None:
    code = build.code("1: bne 1b; bls 1b; bx lr; pop {r4, pc}", "cortex-m7")
    penalties = [time.taken_penalty for time in time_instructions(decode(code, 0x0800_0008))]
    assert penalties == [1, 1, 1, 3]


def test_code_that_is_not_adjacent_starts_afresh() -> None:
    """mov r0,r4 at 0 and mov r1,r5 at 0x100: no pair"""
    apart = [*decode(bytes.fromhex("2046"), 0), *decode(bytes.fromhex("2946"), 0x100)]
    assert [time.cycles for time in time_instructions(apart)] == [1, 1]
