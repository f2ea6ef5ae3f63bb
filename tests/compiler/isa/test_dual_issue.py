"""Reordering for cores that issue in pairs: what it keeps, what it gains, what it refuses."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automcu.compiler.isa.armv7e_m.block import assembly
from automcu.compiler.isa.armv7e_m.block_shape import Block, Issue
from automcu.compiler.isa.armv7e_m.depthwise_block import DepthwiseRow, depthwise_assembly
from automcu.compiler.isa.armv7e_m.dual_issue import order_for_dual_issue, register_pool

SHAPES = ((4, 2), (3, 2), (2, 2), (1, 2), (2, 4), (1, 4), (1, 8))
REGISTERS = tuple(f"r{number}" for number in range(8))


def block(pixels: int, channels: int, steps: int = 16, issue: str = "dual") -> Block:
    return Block("f", pixels, channels, 3, steps, 64, 32, False, issue)  # type: ignore[arg-type]


def operations(lines: list[str]) -> Counter[str]:
    return Counter(line.split()[0] for line in lines)


@pytest.mark.parametrize(("pixels", "channels"), SHAPES)
def test_all_multiplications_of_a_block_are_there_once(pixels: int, channels: int) -> None:
    counted = operations(assembly(block(pixels, channels)))
    assert counted["smlad"] == 16 * pixels * channels
    assert counted["smmlar"] == counted["ssat"] == pixels * channels


@pytest.mark.parametrize(("pixels", "channels"), SHAPES)
def test_no_pooled_register_is_left_without_a_place(pixels: int, channels: int) -> None:
    assert not [line for line in assembly(block(pixels, channels)) if re.search(r"\bv\d", line)]


@pytest.mark.parametrize("issue", ["single", "dual"])
@pytest.mark.parametrize("amplifies", [False, True])
@pytest.mark.parametrize("pixels", [1, 2, 3, 4])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (2, 1), (3, 1), (3, 2)])
def test_rows_of_every_depthwise_shape_find_registers(
    kernel: int, stride: int, pixels: int, amplifies: bool, issue: Issue
) -> None:
    parts = ((pixels, 2, 0), (1, 1, 2 * pixels))
    row = DepthwiseRow("f", parts, kernel, kernel, stride, 8, 8, issue, amplifies)
    lines = depthwise_assembly(row)
    assert not [line for line in lines if re.search(r"\bv\d", line)]
    products = 2 * kernel * kernel * (pixels + 1)
    assert operations(lines)["smlabb"] + operations(lines)["smlatt"] == products


@st.composite
def straight_lines(draw: st.DrawFn) -> list[str]:
    register = st.sampled_from(REGISTERS)
    lines = []
    for _ in range(draw(st.integers(1, 25))):
        a, b, c = draw(register), draw(register), draw(register)
        number = draw(st.integers(0, 7))
        kinds = (
            f"add {a}, {b}, {c}",
            f"add {a}, #{number}",
            f"mov {a}, {b}",
            f"smlad {a}, {b}, {c}, {a}",
            f"ldr {a}, [sp, #{4 * number}]",
            f"str {a}, [sp, #{4 * number}]",
        )
        lines.append(draw(st.sampled_from(kinds)))
    return lines


def run(lines: list[str]) -> tuple[dict[str, int], list[int]]:
    """What a plain reading of the instructions leaves in registers and in the stack frame."""
    values = {name: 3**place for place, name in enumerate(REGISTERS)}
    frame = [7**place for place in range(8)]
    for line in lines:
        operation, *names = re.findall(r"[a-z]+\d*|\d+", line)
        match operation, names:
            case "add", [a, b] if b.isdigit():
                values[a] += int(b)
            case "add", [a, b, c]:
                values[a] = values[b] + values[c]
            case "mov", [a, b]:
                values[a] = values[b]
            case "smlad", [a, b, c, d]:
                values[a] = values[d] + values[b] * values[c]
            case "ldr", [a, _, place]:
                values[a] = frame[int(place) // 4]
            case "str", [a, _, place]:
                frame[int(place) // 4] = values[a]
            case _:
                raise AssertionError(line)
    return values, frame


@given(lines=straight_lines())
def test_another_order_computes_the_same(lines: list[str]) -> None:
    ordered = order_for_dual_issue(lines)
    assert sorted(ordered) == sorted(lines)
    assert run(ordered) == run(lines)


def test_nothing_moves_across_a_label_or_a_branch() -> None:
    lines = ["add r0, #1", "1:  @ again", "ldr r1, [r0]", "subs r2, #1", "bne 1b", "add r3, #1"]
    assert order_for_dual_issue(lines) == lines


def test_too_few_registers_are_reported() -> None:
    lines = ["ldr v0, [r0]", "ldr v1, [r0, #4]", "smlad r4, v0, v1, r4"]
    assert order_for_dual_issue(lines, ("r2", "r3"))
    with pytest.raises(ValueError, match="too few"):
        order_for_dual_issue(lines, ("r2",))


def test_a_register_of_the_pool_cannot_be_named_beside_it() -> None:
    lines = ["ldr v0, [r0]", "mov r2, r5", "smlad r4, v0, v0, r4"]
    with pytest.raises(ValueError, match="named beside"):
        order_for_dual_issue(lines, ("r2", "r3"))


def test_the_pool_is_what_neither_sums_nor_pointers_take() -> None:
    assert register_pool(block(4, 2)) == ("r2", "r3", "r12", "lr")
    assert register_pool(block(3, 2)) == ("r2", "r3", "r12", "lr", "r10", "r11")
