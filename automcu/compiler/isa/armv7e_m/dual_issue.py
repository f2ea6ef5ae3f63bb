"""Straight-line assembly put in an order that a Cortex-M7 issues two instructions at a time from.

A list schedule for the rules in which measurements of the core agree: a cycle takes one
multiplication and one memory access at most, a loaded value and a product can be used two cycles
later, an accumulator one cycle earlier. What is ready and stands first goes first. Registers named
v0, v1, ... are taken from a pool as their values come to life, in the order of the text, so that
the pool is enough whenever it is for the text as it stands.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from automcu.compiler.isa.armv7e_m.block_shape import ACCUMULATORS, Block

_SLOTS = 2
_WINDOW = 28  # instructions that are looked at to fill a cycle
_RESULT_LATENCY = {"memory": 2, "multiply": 2, "other": 1}
_FLAGS = "flags"
_REGISTER = re.compile(r"\b(v\d+|r\d+|lr|sp)\b")
_MEMORY_OPERAND = re.compile(r"\[[^\]]*\]")
# Lines that nothing moves across: labels, branches, register lists, the stack pointer.
_BARRIER = re.compile(r"\d+:|b\w\w \d|push|pop|ldm|stm|(add|sub) sp|mov r\d+, sp")
_IN_PLACE = ("add", "sub", "subs", "eor")  # with two operands the first is read as well


@dataclass(frozen=True)
class _Instruction:
    text: str
    unit: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    accumulator: str | None

    @property
    def stores(self) -> bool:
        return self.text.startswith("str")

    @cached_property
    def defines(self) -> str | None:
        """The pooled register that comes to life here; one that is changed in place lives on."""
        new = (name for name in self.writes if name not in self.reads)
        return next((name for name in new if name.startswith("v")), None)


@dataclass
class _Run:
    """One straight line while it is being scheduled: what has issued when, who holds what."""

    instructions: list[_Instruction]
    before: list[list[tuple[int, int]]]
    uses: dict[str, int]
    free: list[str]
    issued: dict[int, int] = field(default_factory=dict)
    place: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def free_of(self, names: Sequence[str]) -> bool:
        """Whether none of these registers is in the pool."""
        return not set(names) & set(self.free)


def order_for_dual_issue(lines: Sequence[str], pool: Sequence[str] = ()) -> list[str]:
    """The same instructions, each straight line among them in an order that issues in pairs.

    Raises:
        ValueError: the pool is too small for the values that are alive at once, or a straight
            line takes registers from it and names some of it as well.
    """
    ordered: list[str] = []
    straight: list[str] = []
    for line in lines:
        if _BARRIER.match(line):
            ordered += [*_schedule(straight, pool), line]
            straight = []
        else:
            straight.append(line)
    return [*ordered, *_schedule(straight, pool)]


def _schedule(lines: Sequence[str], pool: Sequence[str]) -> list[str]:
    instructions = [_decode(line) for line in lines]
    run = _Run(instructions, _dependencies(instructions), _use_counts(instructions), list(pool))
    waiting = list(range(len(instructions)))
    if run.uses and any(not run.free_of(i.reads + i.writes) for i in instructions):
        raise ValueError("registers of the pool are named beside v0, v1, ...")
    definers = [i for i, instruction in enumerate(instructions) if instruction.defines]
    cycle = idle = 0
    while waiting:
        units: list[str] = []
        while len(units) < _SLOTS:
            definer = definers[0] if definers else None
            chosen = _first_ready(run, waiting, definer, cycle, units)
            if chosen is None:
                break
            _issue(run, chosen, cycle)
            waiting.remove(chosen)
            if chosen == definer:
                definers.pop(0)
            units.append(instructions[chosen].unit)
        idle = 0 if units else idle + 1
        if idle > max(_RESULT_LATENCY.values()):
            raise ValueError(f"{len(pool)} registers are too few for this order")
        cycle += 1
    return run.lines


def _first_ready(
    run: _Run, waiting: list[int], definer: int | None, cycle: int, units: list[str]
) -> int | None:
    for index in waiting[:_WINDOW]:
        instruction = run.instructions[index]
        if instruction.unit != "other" and instruction.unit in units:
            continue
        if instruction.defines and (index != definer or not _has_room(run, instruction)):
            continue
        if all(run.issued.get(i, cycle + 1) + latency <= cycle for i, latency in run.before[index]):
            return index
    return None


def _has_room(run: _Run, instruction: _Instruction) -> bool:
    return bool(run.free) or any(run.uses.get(name) == 1 for name in instruction.reads)


def _issue(run: _Run, index: int, cycle: int) -> None:
    instruction = run.instructions[index]
    names = {name: run.place[name] for name in instruction.reads if name in run.place}
    for name in names:
        run.uses[name] -= 1
        if run.uses[name] == 0:
            run.free.append(run.place.pop(name))
    if instruction.defines:
        names[instruction.defines] = run.place[instruction.defines] = run.free.pop()
    run.issued[index] = cycle
    run.lines.append(_REGISTER.sub(lambda found: names.get(found[0], found[0]), instruction.text))


def _decode(line: str) -> _Instruction:
    operation, _, operands = line.partition("@")[0].strip().partition(" ")
    registers = tuple(_REGISTER.findall(operands))
    if operation.startswith("str"):
        return _Instruction(line, "memory", registers, (), None)
    if operation.startswith("ldr"):
        written = registers[:2] if "], #" in operands else registers[:1]
        return _Instruction(line, "memory", registers[1:], written, None)
    if operation.startswith("sm"):
        accumulator = registers[3] if len(registers) > 3 else None
        return _Instruction(line, "multiply", registers[1:], registers[:1], accumulator)
    if operation == "cmp":
        return _Instruction(line, "other", registers, (_FLAGS,), None)
    two_operands = len(_MEMORY_OPERAND.sub("", operands).split(",")) == 2
    in_place = operation == "bfi" or (operation in _IN_PLACE and two_operands)
    flags = (_FLAGS,) if operation == "subs" else ()
    reads = registers if in_place else registers[1:]
    return _Instruction(line, "other", reads, (*registers[:1], *flags), None)


def _dependencies(instructions: Sequence[_Instruction]) -> list[list[tuple[int, int]]]:
    """For each instruction those it must follow, and by how many cycles."""
    writer: dict[str, int] = {}
    readers: dict[str, list[int]] = {}
    before: list[list[tuple[int, int]]] = []
    for index, instruction in enumerate(instructions):
        found = [
            (writer[name], _latency(instructions[writer[name]], name, instruction))
            for name in instruction.reads
            if name in writer
        ]
        for name in instruction.writes:
            found += [(reader, 0) for reader in readers.get(name, ())]
            found += [(writer[name], 1)] if name in writer else []
        found += _memory_order(instructions, index)
        before.append(found)
        for name in instruction.reads:
            readers.setdefault(name, []).append(index)
        for name in instruction.writes:
            writer[name], readers[name] = index, []
    return before


def _latency(source: _Instruction, name: str, user: _Instruction) -> int:
    if source.unit == "memory" and name != source.writes[0]:
        return 1  # the address register of a load that advances it
    return _RESULT_LATENCY[source.unit] - (
        source.unit == "multiply" and user.unit == "multiply" and name == user.accumulator
    )


def _memory_order(instructions: Sequence[_Instruction], index: int) -> Iterator[tuple[int, int]]:
    """A store stays behind all accesses before it; a load only behind the last store."""
    instruction = instructions[index]
    if instruction.unit != "memory":
        return
    for earlier in range(index - 1, -1, -1):
        if instructions[earlier].unit == "memory" and instruction.stores:
            yield earlier, 1
        if instructions[earlier].stores:
            if not instruction.stores:
                yield earlier, 1
            return


def _use_counts(instructions: Sequence[_Instruction]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for instruction in instructions:
        for name in set(instruction.reads):
            if name.startswith("v"):
                counts[name] = counts.get(name, 0) + 1
    return counts


# The inner loop of a convolution: multiplications go on while the values of the next ones are
# loaded and expanded, so that nearly every cycle holds one: four pixels by two channels take 9
# cycles where a Cortex-M4 takes 17. `order_for_dual_issue` interleaves the instructions; what is
# said here is in which order values come to life, which decides how well that can be done with the
# registers there are.

# One step by pixels and channels: wP loads the weight word of channel pair P (+wP that of the
# next step), aP and bP expand its two channels, xN loads pixel N, aNP and bNP multiply the two.
# These two were found by a random search over orders, the timing model being the judge.
_ORDERS = {
    (4, 2): "w0 x2 a0 b0 b20 x0 a00 b00 x3 b30 a30 a20 x1 b10 a10",
    (3, 2): "x2 x1 a0 a10 a20 x0 a00 b0 b00 b10 +w0 b20",
}
_SCRATCH = ("r2", "r3", "r12", "lr")
_AHEAD = "+"
LOOP_END = "v9999"
"""The pooled register for what follows the steps in the same straight line."""


def register_pool(block: Block) -> tuple[str, ...]:
    """Registers that hold neither sums nor pointers."""
    return (*_SCRATCH, *ACCUMULATORS[block.pixels * block.channels :])


def paired_steps(block: Block) -> Iterator[str]:
    """One pass of the loop, then both pointers advanced; v0, v1, ... are to be given registers."""
    order = _order(block)
    names: dict[tuple[int, str], str] = {}
    for token in order:
        if token.startswith(_AHEAD):
            yield _line(block, 0, token.removeprefix(_AHEAD), names)
    for step in range(block.unrolled):
        for token in order:
            of_step = step + token.startswith(_AHEAD)
            if of_step < block.unrolled:
                yield _line(block, of_step, token.removeprefix(_AHEAD), names)
    yield f"add r0, #{4 * block.unrolled}"
    yield f"add r1, #{4 * block.unrolled}"


def _order(block: Block) -> Sequence[str]:
    order = _ORDERS.get((block.pixels, block.channels))
    return order.split() if order else list(_plain_order(block))


def _plain_order(block: Block) -> Iterator[str]:
    """Each weight word is loaded once the last one's second channel is done with."""
    pixels = range(block.pixels)
    pairs = list(range(block.channels // 2))
    yield from (f"x{pixel}" for pixel in pixels)
    for pair in pairs:
        yield from (f"a{pair}", f"b{pair}")
        yield from (f"b{pixel}{pair}" for pixel in pixels)
        yield f"w{pair + 1}" if pair + 1 in pairs else f"{_AHEAD}w0"
        yield from (f"a{pixel}{pair}" for pixel in pixels)


def _line(block: Block, step: int, token: str, names: dict[tuple[int, str], str]) -> str:
    kind, numbers = token[0], [int(digit) for digit in token[1:]]
    if len(numbers) == 2:
        pixel, pair = numbers
        total = ACCUMULATORS[pixel * block.channels + 2 * pair + (kind == "b")]
        weight, activation = names[step, f"{kind}{pair}"], names[step, f"x{pixel}"]
        return f"smlad {total}, {weight}, {activation}, {total}"
    names[step, token] = name = f"v{len(names)}"
    place = 4 * step
    match kind:
        case "x":
            return f"ldr {name}, [r0, #{numbers[0] * block.pixel_bytes + place}]"
        case "w":
            return f"ldr {name}, [r1, #{numbers[0] * block.pair_bytes + place}]"
    word = names[step, f"w{numbers[0]}"]
    return f"sxtb16 {name}, {word}" + (", ror #8" if kind == "b" else "")
