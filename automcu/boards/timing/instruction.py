"""Thumb instructions as the timing rules see them, decoded by Capstone."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache

import capstone
from capstone import arm


class Kind(Enum):
    """What an instruction occupies in the pipeline."""

    ALU = "alu"
    LOAD = "load"
    STORE = "store"
    BRANCH = "branch"
    MULTIPLY = "multiply"
    DIVIDE = "divide"
    FLOAT = "float"
    IF_THEN = "if-then"


def operations(text: str) -> frozenset[str]:
    """A set of mnemonics, written as they would be listed in a manual."""
    return frozenset(text.split())


_LOADS = operations("ldr ldrb ldrh ldrsb ldrsh ldrd ldm ldmdb pop vldr vldmia vldmdb vpop ldrex")
_STORES = operations("str strb strh strd stm stmdb push vstr vstmia vstmdb vpush")
_BRANCHES = operations("b bl blx bx cbz cbnz tbb tbh")
_MULTIPLY_STEMS = operations(
    "mul mla mls smla smul smm smlal umlal umull smull smua smus smls umaal usad"
)
_CONDITIONS = operations("eq ne hs lo cs cc mi pl vs vc hi ls ge lt gt le")
_UNCONDITIONAL = (arm.ARM_CC_AL, arm.ARM_CC_INVALID)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. Registers are Capstone's numbers.

    `operation` is the mnemonic without width and condition. `registers` are the register operands
    in order (a register list counts each), `address_registers` those that form a memory address.
    `target` is where a branch with an immediate operand goes.
    """

    address: int
    size: int
    operation: str
    kind: Kind
    registers: tuple[int, ...]
    address_registers: frozenset[int]
    reads: frozenset[int]
    writes: frozenset[int]
    target: int | None

    @property
    def end(self) -> int:
        """Address of the instruction behind this one."""
        return self.address + self.size

    @property
    def writes_pc(self) -> bool:
        """Whether it can leave the straight line."""
        return arm.ARM_REG_PC in self.writes


FLAGS = arm.ARM_REG_CPSR
PROGRAM_COUNTER = arm.ARM_REG_PC


@dataclass(frozen=True, slots=True)
class InstructionTime:
    """Cycles that an instruction adds, and those that it adds on top when it leaves the line."""

    cycles: int
    taken_penalty: int


def decode(code: bytes, address: int) -> list[Instruction]:
    """Decode Thumb code that lies at `address`.

    Halfwords that are no instruction count as one ALU instruction each, so that the result always
    covers all of `code`.
    """
    instructions: list[Instruction] = []
    position = 0
    while position < len(code):
        for decoded in _disassembler().disasm(code[position:], address + position):
            instructions.append(_instruction(decoded))
            position += decoded.size
        if position < len(code):
            instructions.append(_unknown(address + position))
            position += 2
    return instructions


def straight_lines(instructions: Sequence[Instruction]) -> list[bool]:
    """For each instruction whether it directly follows the one before it in memory."""
    return [
        index > 0 and instructions[index - 1].end == instruction.address
        for index, instruction in enumerate(instructions)
    ]


@cache
def _disassembler() -> capstone.Cs:
    disassembler = capstone.Cs(
        capstone.CS_ARCH_ARM,
        capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS,
    )
    disassembler.detail = True
    return disassembler


def _instruction(decoded: capstone.CsInsn) -> Instruction:
    operation = _operation(decoded)
    reads, writes = decoded.regs_access()
    operands = decoded.operands
    memory = [operand.mem for operand in operands if operand.type == arm.ARM_OP_MEM]
    immediates = [operand.imm for operand in operands if operand.type == arm.ARM_OP_IMM]
    kind = _kind(operation)
    return Instruction(
        address=decoded.address,
        size=decoded.size,
        operation=operation,
        kind=kind,
        registers=tuple(o.reg for o in operands if o.type == arm.ARM_OP_REG),
        address_registers=frozenset(
            register for part in memory for register in (part.base, part.index) if register
        ),
        reads=frozenset(reads),
        writes=frozenset(writes),
        target=immediates[-1] if kind is Kind.BRANCH and immediates else None,
    )


def _unknown(address: int) -> Instruction:
    nothing: frozenset[int] = frozenset()
    return Instruction(address, 2, "unknown", Kind.ALU, (), nothing, nothing, nothing, None)


def _operation(decoded: capstone.CsInsn) -> str:
    mnemonic: str = decoded.mnemonic.partition(".")[0]
    if decoded.cc not in _UNCONDITIONAL and mnemonic[-2:] in _CONDITIONS:
        return mnemonic[:-2]
    return mnemonic


def _kind(operation: str) -> Kind:
    if operation in _LOADS:
        return Kind.LOAD
    if operation in _STORES:
        return Kind.STORE
    if operation in _BRANCHES:
        return Kind.BRANCH
    if operation.startswith("v"):
        return Kind.FLOAT
    if operation.startswith(tuple(_MULTIPLY_STEMS)):
        return Kind.MULTIPLY
    if operation in ("sdiv", "udiv"):
        return Kind.DIVIDE
    if operation.startswith("it"):
        return Kind.IF_THEN
    return Kind.ALU
