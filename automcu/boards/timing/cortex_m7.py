"""Cycles on a Cortex-M7 with memory that never waits: in order, two instructions at a time.

ARM publishes no instruction timings for this core. The rules are those that measurements agree
on: a loaded value can be used two cycles later, so can a product, except that an accumulator is
needed one cycle late; a pair holds at most one multiplication, one branch and one memory access;
a taken branch costs one cycle. Expect 20 % of error.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from automcu.boards.timing.blocks import (
    FLAGS,
    PROGRAM_COUNTER,
    Instruction,
    InstructionTime,
    Kind,
    operations,
    straight_lines,
)

TAKEN_BRANCH_CYCLES = 1
INDIRECT_JUMP_CYCLES = 3  # a load or move into the program counter is not predicted
RESULT_LATENCY = {Kind.LOAD: 2, Kind.MULTIPLY: 2, Kind.FLOAT: 3}
DIVIDE_CYCLES = 6
FLOAT_DIVIDE_CYCLES = 14

_LISTS_WITH_A_BASE = operations("ldm ldmdb stm stmdb vldmia vstmia")
_LISTS_ON_THE_STACK = operations("pop push vpop vpush")
_ONE_PER_PAIR = frozenset((Kind.MULTIPLY, Kind.BRANCH, Kind.FLOAT, Kind.DIVIDE))
_MEMORY = frozenset((Kind.LOAD, Kind.STORE))


@dataclass(slots=True)
class _Pipeline:
    """When the last instruction issued, when each register is ready, and who can take a partner."""

    last_issue: int = 0
    ready: dict[int, int] = field(default_factory=dict)
    open_slot: Instruction | None = None
    open_slot_issue: int = 0


def time_instructions(instructions: Sequence[Instruction]) -> list[InstructionTime]:
    """Time instructions that stand in order of address.

    An instruction that some branch among them jumps to starts a pair of its own.
    """
    targets = {instruction.target for instruction in instructions}
    pipeline = _Pipeline()
    times = []
    for instruction, follows in zip(instructions, straight_lines(instructions), strict=True):
        if not follows:
            pipeline = _Pipeline()
        cycles = _issue(pipeline, instruction, follows, instruction.address in targets)
        times.append(InstructionTime(cycles, _taken_penalty(instruction)))
    return times


def _issue(pipeline: _Pipeline, instruction: Instruction, follows: bool, is_target: bool) -> int:
    """Put one instruction into the pipeline; return by how much it moves the last issue."""
    slots = _issue_slots(instruction)
    needed = _operands_ready(pipeline, instruction)
    if not is_target and slots == 1 and _pairs(pipeline, instruction, needed):
        issue = pipeline.open_slot_issue
        pipeline.open_slot = None
    else:
        issue = max(pipeline.last_issue + 1, needed) if follows else 0
        pipeline.open_slot = instruction if slots == 1 else None
        pipeline.open_slot_issue = issue
    end = issue + slots - 1
    _note_results(pipeline, instruction, end)
    cycles = max(0, end - pipeline.last_issue) if follows else slots
    pipeline.last_issue = end
    return cycles


def _issue_slots(instruction: Instruction) -> int:
    """Cycles for which an instruction keeps the pipeline to itself; 1 if a partner may join."""
    operands = max(1, len(instruction.registers))
    if instruction.operation in _LISTS_WITH_A_BASE:
        return max(1, operands // 2)
    if instruction.operation in _LISTS_ON_THE_STACK:
        return max(1, (operands + 1) // 2)
    if instruction.kind is Kind.DIVIDE:
        return DIVIDE_CYCLES
    if instruction.operation in ("vdiv", "vsqrt"):
        return FLOAT_DIVIDE_CYCLES
    return 1


def _operands_ready(pipeline: _Pipeline, instruction: Instruction) -> int:
    accumulates = instruction.kind is Kind.MULTIPLY and len(instruction.registers) >= 4
    accumulator = instruction.registers[-1] if accumulates else None
    return max(
        (
            pipeline.ready.get(register, 0) - (register == accumulator)
            for register in instruction.reads
            if register != PROGRAM_COUNTER
        ),
        default=0,
    )


def _pairs(pipeline: _Pipeline, instruction: Instruction, needed: int) -> bool:
    """Whether an instruction can issue together with the one before it."""
    partner = pipeline.open_slot
    if partner is None or needed > pipeline.open_slot_issue:
        return False
    if partner.kind is instruction.kind and instruction.kind in _ONE_PER_PAIR:
        return False
    if partner.kind in _MEMORY and instruction.kind in _MEMORY:
        return False
    return not (partner.writes & instruction.reads) - {FLAGS, PROGRAM_COUNTER}


def _note_results(pipeline: _Pipeline, instruction: Instruction, end: int) -> None:
    latency = RESULT_LATENCY.get(instruction.kind, 1)
    for register in instruction.writes:
        written_back = register in instruction.address_registers - set(instruction.registers)
        pipeline.ready[register] = end + (1 if written_back else latency)


def _taken_penalty(instruction: Instruction) -> int:
    if instruction.kind is Kind.BRANCH:
        return TAKEN_BRANCH_CYCLES
    return INDIRECT_JUMP_CYCLES if instruction.writes_pc else 0
