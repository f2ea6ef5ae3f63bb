"""The inner loop of a depthwise convolution on armv7e-m: pixels of one row by two channels.

Activations are widened as for other convolutions, so a word holds two channels, two apart, of one
pixel. Each word is loaded once per kernel row and serves every window that covers it; SMLABB and
SMLATT multiply its halves with the weights of the two channels, which stay in registers for the
whole kernel row.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from automcu.compiler.kernels.armv7e_m.block import ACCUMULATORS

WIDEST_KERNEL = 3  # weights of a kernel row that fit in registers
_WEIGHT_REGISTERS = ("r2", "r3", "r12")
_VALUE_REGISTERS = ("lr", "r1")

# The stack frame, in bytes from sp: the caller's depthwise_job, copied.
_WEIGHTS, _CHANNELS, _OUTPUT, _BLOCKS, _ZERO_POINT, _COLUMN, _ROWS = range(0, 28, 4)
JOB_WORDS = 7
_FRAME = 28  # with the nine registers pushed above it a multiple of 8


@dataclass(frozen=True)
class DepthwiseBlock:
    """The shape of an inner loop; `pixel_bytes` lie between neighbouring input pixels."""

    function: str
    pixels: int
    kernel_height: int
    kernel_width: int
    stride: int
    pixel_bytes: int
    channels: int

    @property
    def row_words(self) -> int:
        """Words of weights in one kernel row: two taps a word."""
        return (self.kernel_width + 1) // 2

    @property
    def columns(self) -> int:
        """Input pixels of a row that the block reads."""
        return (self.pixels - 1) * self.stride + self.kernel_width


def depthwise_assembly(block: DepthwiseBlock) -> list[str]:
    """The body of a naked function that takes a `depthwise_job` in r0: lines of assembly."""
    return [
        "push {r4-r11, lr}",
        f"sub sp, #{_FRAME}",
        "mov r1, sp",
        f"ldmia r0, {{r2-r8}}  @ the job's {JOB_WORDS} words",
        "stmia r1, {r2-r8}",
        "1:  @ one block of pixels",
        *_start_accumulators(block),
        *(line for row in range(block.kernel_height) for line in _kernel_row(block, row)),
        *_requantise_and_store(block),
        *_next_block(block),
        f"add sp, #{_FRAME}",
        "pop {r4-r11, pc}",
    ]


def _accumulator(pixel: int, channel: int) -> str:
    return ACCUMULATORS[2 * pixel + channel]


def _start_accumulators(block: DepthwiseBlock) -> Iterator[str]:
    yield f"ldr r2, [sp, #{_CHANNELS}]"
    yield f"ldr {_accumulator(0, 0)}, [r2]  @ bias"
    yield f"ldr {_accumulator(0, 1)}, [r2, #16]"
    for pixel in range(1, block.pixels):
        for channel in (0, 1):
            yield f"mov {_accumulator(pixel, channel)}, {_accumulator(0, channel)}"


def _kernel_row(block: DepthwiseBlock, row: int) -> Iterator[str]:
    yield f"ldr r1, [sp, #{_WEIGHTS}]  @ kernel row {row}"
    yield f"ldr r0, [sp, #{_ROWS}]"
    yield f"ldr lr, [sp, #{_COLUMN}]"
    yield f"ldr r0, [r0, #{4 * row}]"
    place = 4 * row * block.row_words
    if block.row_words == 2:
        yield f"ldr r12, [r1, #{place + 4}]"
    yield f"ldr r2, [r1, #{place}]"
    yield "add r0, lr"
    if block.kernel_width > 1:
        yield "sxtb16 r3, r2, ror #8"
    yield "sxtb16 r2, r2"
    if block.row_words == 2:
        yield "sxtb16 r12, r12"
    for first in range(0, block.columns, 2):
        columns = range(first, min(first + 2, block.columns))
        names = dict(zip(columns, _VALUE_REGISTERS, strict=False))
        for column, name in names.items():
            yield f"ldr {name}, [r0, #{column * block.pixel_bytes}]"
        for column, name in names.items():
            yield from _multiply(block, column, name)


def _multiply(block: DepthwiseBlock, column: int, value: str) -> Iterator[str]:
    for pixel in range(block.pixels):
        tap = column - pixel * block.stride
        if 0 <= tap < block.kernel_width:
            weight = _WEIGHT_REGISTERS[tap]
            low, high = (_accumulator(pixel, channel) for channel in (0, 1))
            yield f"smlabb {low}, {value}, {weight}, {low}"
            yield f"smlatt {high}, {value}, {weight}, {high}"


def _requantise_and_store(block: DepthwiseBlock) -> Iterator[str]:
    yield f"ldr r0, [sp, #{_CHANNELS}]"
    yield f"ldr r12, [sp, #{_ZERO_POINT}]"
    yield f"ldr r1, [sp, #{_OUTPUT}]"
    yield "ldr r2, [r0, #4]  @ multipliers"
    yield "ldr r3, [r0, #20]"
    for pixel in range(block.pixels):
        for channel, multiplier in ((0, "r2"), (1, "r3")):
            value = _accumulator(pixel, channel)
            yield f"smmlar {value}, {value}, {multiplier}, r12"
            yield f"ssat {value}, #8, {value}"
            yield f"strb {value}, [r1, #{pixel * block.channels + 2 * channel}]"


def _next_block(block: DepthwiseBlock) -> Iterator[str]:
    yield f"ldr r2, [sp, #{_BLOCKS}]"
    yield f"ldr r3, [sp, #{_COLUMN}]"
    yield f"add r1, #{block.pixels * block.channels}"
    yield f"add r3, #{block.pixels * block.stride * block.pixel_bytes}"
    yield "subs r2, #1"
    yield f"str r1, [sp, #{_OUTPUT}]"
    yield f"str r3, [sp, #{_COLUMN}]"
    yield f"str r2, [sp, #{_BLOCKS}]"
    yield "bne 1b"
