"""The inner loop of a convolution on armv7e-m, as assembly: a block of pixels by channels at once.

Activations lie in RAM as 16-bit values, weights in flash as bytes. One weight word holds two
channels by two values of depth, (a0, b0, a1, b1): SXTB16 takes channel a from it, SXTB16 with a
rotation channel b, and each SMLAD then multiplies two activations with two weights. Four pixels
by two channels cost 17 cycles for 16 multiply-accumulates on a Cortex-M4: a weight word is
loaded once for four pixels, loads stand side by side (a load straight after a load takes one
cycle), and addresses advance by post-indexing.
"""

from collections.abc import Iterator

from automcu.compiler.fixed_point import AMPLIFIED_BITS, AMPLIFIED_SHIFT
from automcu.compiler.isa.armv7e_m.block_shape import ACCUMULATORS, LARGEST_OFFSET, Block
from automcu.compiler.isa.armv7e_m.dual_issue import (
    LOOP_END,
    order_for_dual_issue,
    paired_steps,
    register_pool,
)

# The stack frame, in bytes from sp. The first part is the caller's block_job, copied.
_WEIGHTS, _CHANNELS, _OUTPUT, _RESIDUAL, _BLOCKS, _ZERO_POINT = range(0, 24, 4)
_SUM_MULTIPLIERS, _SUM_OFFSET, _SUM_SHIFT, _COLUMN, _ROWS = range(24, 44, 4)
JOB_WORDS = 11
_ROW_POINTER = 4 * JOB_WORDS
_SEGMENT_END = _ROW_POINTER + 4
_LAST_ROW = _SEGMENT_END + 4
_FRAME = _LAST_ROW + 8  # with the nine registers pushed above it a multiple of 8


def assembly(block: Block) -> list[str]:
    """The body of a naked function that takes a `block_job` in r0: lines of assembly."""
    lines = _in_order(block)
    return order_for_dual_issue(lines, register_pool(block)) if block.issue == "dual" else lines


def _in_order(block: Block) -> list[str]:
    steps = paired_steps(block) if block.issue == "dual" else _single_steps(block)
    return [
        *_enter(),
        "1:  @ one block of pixels",
        *_start_accumulators(block),
        *_first_segment(block),
        *(["2:  @ one kernel row", *_next_segment(block)] if block.segments > 1 else []),
        f"3:  @ {block.unrolled} steps of two values of depth",
        *steps,
        *_repeat_steps(block),
        "4:  @ a kernel row is done",
        *(_repeat_segments() if block.segments > 1 else []),
        *(_requantise_amplified(block) if block.amplifies else _requantise(block)),
        *(_add_residual(block) if block.residual else []),
        *_store(block),
        *_next_block(block),
        *_leave(),
    ]


def _enter() -> Iterator[str]:
    yield "push {r4-r11, lr}"
    yield f"sub sp, #{_FRAME}"
    yield "mov r1, sp"
    yield f"ldmia r0, {{r2-r12}}  @ the job's {JOB_WORDS} words"
    yield "stmia r1, {r2-r12}"


def _leave() -> Iterator[str]:
    yield f"add sp, #{_FRAME}"
    yield "pop {r4-r11, pc}"


def _add(target: str, source: str, amount: int, free: str) -> Iterator[str]:
    """ADD of a constant that may be too large for the instruction."""
    if amount <= LARGEST_OFFSET:
        yield (
            f"add {target}, {source}, #{amount}" if target != source else f"add {target}, #{amount}"
        )
    else:
        yield f"movw {free}, #{amount}"
        yield f"add {target}, {source}, {free}"


def _accumulator(block: Block, pixel: int, channel: int) -> str:
    return ACCUMULATORS[pixel * block.channels + channel]


def _start_accumulators(block: Block) -> Iterator[str]:
    yield f"ldr r2, [sp, #{_CHANNELS}]"
    for channel in range(block.channels):
        yield f"ldr {_accumulator(block, 0, channel)}, [r2, #{8 * channel}]  @ bias"
    for pixel in range(1, block.pixels):
        for channel in range(block.channels):
            source = _accumulator(block, 0, channel)
            yield f"mov {_accumulator(block, pixel, channel)}, {source}"
    yield f"ldr r1, [sp, #{_WEIGHTS}]"


def _first_segment(block: Block) -> Iterator[str]:
    if block.segments == 1:
        yield f"ldr r0, [sp, #{_ROWS}]"
        yield f"ldr r2, [sp, #{_COLUMN}]"
        yield "ldr r0, [r0]"
        yield "add r0, r2"
        yield from _set_segment_end(block)
    else:
        yield f"ldr r3, [sp, #{_ROWS}]"
        yield f"add r2, r3, #{4 * block.segments}"
        yield f"str r2, [sp, #{_LAST_ROW}]"


def _next_segment(block: Block) -> Iterator[str]:
    yield f"ldr r2, [sp, #{_COLUMN}]"
    yield "ldr r0, [r3], #4"
    yield f"str r3, [sp, #{_ROW_POINTER}]"
    yield "add r0, r2"
    yield from _set_segment_end(block)


def _set_segment_end(block: Block) -> Iterator[str]:
    if block.steps > block.unrolled:
        yield from _add("r2", "r0", 4 * block.steps, "r2")
        yield f"str r2, [sp, #{_SEGMENT_END}]"


def _single_steps(block: Block) -> Iterator[str]:
    """One pass of the loop; each step advances r0 and r1 by one word."""
    for _ in range(block.unrolled):
        yield from _wide_step(block) if block.pixels >= 3 else _narrow_step(block)


def _multiply(block: Block, pixel: int, pair: int, activation: str) -> Iterator[str]:
    for channel, weight in ((2 * pair, "r3"), (2 * pair + 1, "r2")):
        target = _accumulator(block, pixel, channel)
        yield f"smlad {target}, {weight}, {activation}, {target}"


def _expand_weights(source: str) -> Iterator[str]:
    yield f"sxtb16 r3, {source}"
    yield f"sxtb16 r2, {source}, ror #8"


def _wide_step(block: Block) -> Iterator[str]:
    """Three or four pixels by one channel pair: activations two at a time."""
    high = list(range(2, block.pixels))
    names = dict(zip(high, ("r12", "lr"), strict=False))
    yield "ldr r2, [r1], #4"
    for pixel in high:
        yield f"ldr {names[pixel]}, [r0, #{pixel * block.pixel_bytes}]"
    yield from _expand_weights("r2")
    for pixel in high:
        yield from _multiply(block, pixel, 0, names[pixel])
    yield f"ldr r12, [r0, #{block.pixel_bytes}]"
    yield "ldr lr, [r0], #4"
    yield from _multiply(block, 1, 0, "r12")
    yield from _multiply(block, 0, 0, "lr")


def _narrow_step(block: Block) -> Iterator[str]:
    """One or two pixels by one or more channel pairs: activations stay, weights change."""
    pairs = list(reversed(range(block.channels // 2)))  # the first last: it advances the pointer
    if block.pixels == 2:
        yield f"ldr r12, [r0, #{block.pixel_bytes}]"
    yield "ldr lr, [r0], #4"
    # With one pixel r12 is free, so that two weight words are loaded side by side.
    together = 1 if block.pixels == 2 else 2
    for first in range(0, len(pairs), together):
        group = pairs[first : first + together]
        names = dict(zip(group, ("r12", "r2")[-len(group) :], strict=True))
        for pair, name in names.items():
            yield _load_weights(block, pair, name)
        for pair, name in reversed(names.items()):  # r2 first, as expanding overwrites it
            yield from _expand_weights(name)
            if block.pixels == 2:
                yield from _multiply(block, 1, pair, "r12")
            yield from _multiply(block, 0, pair, "lr")


def _load_weights(block: Block, pair: int, name: str) -> str:
    return f"ldr {name}, [r1, #{pair * block.pair_bytes}]" if pair else f"ldr {name}, [r1], #4"


def _repeat_steps(block: Block) -> Iterator[str]:
    if block.steps > block.unrolled:
        end = "r2" if block.issue == "single" else LOOP_END
        yield f"ldr {end}, [sp, #{_SEGMENT_END}]"
        yield f"cmp r0, {end}"
        yield "bne 3b"


def _repeat_segments() -> Iterator[str]:
    yield f"ldr r3, [sp, #{_ROW_POINTER}]"
    yield f"ldr r2, [sp, #{_LAST_ROW}]"
    yield "cmp r3, r2"
    yield "bne 2b"


def _requantise(block: Block) -> Iterator[str]:
    yield f"ldr r0, [sp, #{_CHANNELS}]"
    yield f"ldr r12, [sp, #{_ZERO_POINT}]"
    for pair in range(block.channels // 2):
        yield f"ldr r2, [r0, #{16 * pair + 4}]  @ multipliers"
        yield f"ldr r3, [r0, #{16 * pair + 12}]"
        for pixel in range(block.pixels):
            for channel, multiplier in ((2 * pair, "r2"), (2 * pair + 1, "r3")):
                value = _accumulator(block, pixel, channel)
                yield f"smmlar {value}, {value}, {multiplier}, r12"
        for pixel in range(block.pixels):
            for channel in (2 * pair, 2 * pair + 1):
                value = _accumulator(block, pixel, channel)
                yield f"ssat {value}, #8, {value}"


def _requantise_amplified(block: Block) -> Iterator[str]:
    """One channel after the other, as each takes two multipliers, one of which is 0."""
    yield f"ldr r0, [sp, #{_CHANNELS}]"
    yield f"ldr r12, [sp, #{_ZERO_POINT}]"
    for channel in range(block.channels):
        yield f"ldr r2, [r0, #{8 * channel + 4}]  @ multiplier"
        yield from split_multiplier("r2", "r2", "r3")
        for pixel in range(block.pixels):
            value = _accumulator(block, pixel, channel)
            yield from requantise_amplified(value, "lr", "r2", "r3", "r12")
            yield f"ssat {value}, #8, {value}"


def _add_residual(block: Block) -> Iterator[str]:
    yield f"ldr r0, [sp, #{_RESIDUAL}]"
    yield f"ldr r1, [sp, #{_SUM_MULTIPLIERS}]"
    yield f"ldr r2, [sp, #{_SUM_OFFSET}]"
    yield f"ldr r3, [sp, #{_SUM_SHIFT}]"
    for pixel in range(block.pixels):
        for channel in range(0, block.channels, 2):
            first, second = (_accumulator(block, pixel, channel + i) for i in (0, 1))
            place = pixel * block.out_channels + channel
            yield f"ldrsb r12, [r0, #{place}]"
            yield f"ldrsb lr, [r0, #{place + 1}]"
            for value, other in ((first, "r12"), (second, "lr")):
                yield f"smlabb {value}, {value}, r1, r2"
                yield f"smlabt {value}, {other}, r1, {value}"
                yield f"asr {value}, {value}, r3"
                yield f"ssat {value}, #8, {value}"


def _store(block: Block) -> Iterator[str]:
    yield f"ldr r1, [sp, #{_OUTPUT}]"
    for pixel in range(block.pixels):
        for channel in range(0, block.channels, 2):
            first, second = (_accumulator(block, pixel, channel + i) for i in (0, 1))
            yield f"bfi {first}, {second}, #8, #8"
            yield f"strh {first}, [r1, #{pixel * block.out_channels + channel}]"


def _next_block(block: Block) -> Iterator[str]:
    yield f"ldr r2, [sp, #{_BLOCKS}]"
    yield f"ldr r3, [sp, #{_COLUMN}]"
    if block.residual:
        yield f"ldr r0, [sp, #{_RESIDUAL}]"
        yield f"add r0, #{block.pixels * block.out_channels}"
        yield f"str r0, [sp, #{_RESIDUAL}]"
    yield f"add r1, #{block.pixels * block.out_channels}"
    yield from _add("r3", "r3", block.pixels * block.pixel_bytes, "r0")
    yield "subs r2, #1"
    yield f"str r1, [sp, #{_OUTPUT}]"
    yield f"str r3, [sp, #{_COLUMN}]"
    yield f"str r2, [sp, #{_BLOCKS}]"
    yield "bne 1b"


# Requantisation where some channels amplify, without a branch: a multiplier m becomes two,
# max(m, 0) and min(m, 0), one of which is 0. The accumulator meets the first as it is; the second
# saturated and shifted, in a product that is subtracted.


def split_multiplier(multiplier: str, plain: str, amplified: str) -> Iterator[str]:
    """The two multipliers of one; `plain` may be the register that it is in."""
    yield f"and {amplified}, {multiplier}, {multiplier}, asr #31"
    yield f"bic {plain}, {multiplier}, {multiplier}, asr #31"


def requantise_amplified(
    value: str, scratch: str, plain: str, amplified: str, zero_point: str
) -> Iterator[str]:
    """An accumulator becomes a result that is still to be saturated."""
    yield f"ssat {scratch}, #{AMPLIFIED_BITS}, {value}"
    yield f"lsl {scratch}, {scratch}, #{AMPLIFIED_SHIFT}"
    yield f"smmlar {value}, {value}, {plain}, {zero_point}"
    yield f"smmlsr {value}, {scratch}, {amplified}, {value}"
