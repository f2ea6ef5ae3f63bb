"""The inner loops of a depthwise convolution on armv7e-m: one row of output pixels, all channels.

Activations are widened as for other convolutions, so a word holds two channels, two apart, of one
pixel. For each pair of channels the row is computed in blocks of pixels. Each word is loaded once
per kernel row and serves every window that covers it; SMLABB and SMLATT multiply its halves with
the weights of the two channels, which stay in registers for the whole kernel row.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from automcu.compiler.isa.armv7e_m.block import requantise_amplified, split_multiplier
from automcu.compiler.isa.armv7e_m.block_shape import ACCUMULATORS, LARGEST_OFFSET, Issue
from automcu.compiler.isa.armv7e_m.dual_issue import order_for_dual_issue

WIDEST_KERNEL = 3  # weights of a kernel row that fit in registers
LONGEST_ROW_BYTES = 65535  # of MOVW with a 16-bit immediate
_SCRATCH = ("r0", "r1", "r2", "r3", "r12", "lr")
# Who holds what while one instruction follows the other.
_FIXED = {
    "rows": "r0",
    "entry": "r0",
    "row": "r0",
    "column": "lr",
    "weights": "r1",
    "word0": "r2",
    "word1": "r12",
    "tap0": "r2",
    "tap1": "r3",
    "tap2": "r12",
}
_FIXED_VALUES = ("lr", "r1", "r0")  # the last only where the row is not needed any more
# The same before and behind the kernel rows.
_AROUND_FIXED = {
    "biases": "r2",
    "constants": "r0",
    "zero_point": "r12",
    "output": "r1",
    "low": "r2",
    "high": "r3",
    "column": "r3",
    "blocks_left": "r2",
    "next_output": "r1",
    "next_column": "r3",
    "blocks": "r2",
}
# Where channels amplify, values that a single register holds in turn have names of their own.
_AMPLIFIED_ROLES = tuple(
    f"{role}{channel}" for role in ("multiplier", "plain", "amplified") for channel in range(2)
) + tuple(f"saturated{channel}{pixel}" for channel in range(2) for pixel in range(4))
_AROUND_POOLED = {
    role: f"v{9000 + i}" for i, role in enumerate((*_AROUND_FIXED, *_AMPLIFIED_ROLES))
}

# The stack frame, in bytes from sp. The first part is the caller's depthwise_job, copied.
_WEIGHTS, _CHANNELS, _OUTPUT, _PAIRS, _ZERO_POINT, _COLUMN, _ROWS = range(0, 28, 4)
JOB_WORDS = 7
_NEXT_CHANNEL, _BLOCKS = 28, 32
_FRAME = 36  # with the nine registers pushed above it a multiple of 8


@dataclass(frozen=True)
class DepthwiseRow:
    """The shape of the loops. `parts` are blocks of a row: pixels in each, how many, the first.

    `pixel_bytes` lie between neighbouring input pixels; `issue` is how many instructions at a
    time the core issues; with `amplifies` some channels do.
    """

    function: str
    parts: tuple[tuple[int, int, int], ...]
    kernel_height: int
    kernel_width: int
    stride: int
    pixel_bytes: int
    channels: int
    issue: Issue
    amplifies: bool = False

    @property
    def row_words(self) -> int:
        """Words of weights in one kernel row: two taps a word."""
        return (self.kernel_width + 1) // 2

    @property
    def pair_bytes(self) -> int:
        """Bytes of weights of two channels."""
        return 4 * self.row_words * self.kernel_height

    @property
    def pixels(self) -> int:
        """Output pixels of the row."""
        return sum(pixels * count for pixels, count, _ in self.parts)

    @property
    def row_bytes(self) -> int:
        """From the first input pixel of the row's first window to that of the one behind it."""
        return self.pixels * self.stride * self.pixel_bytes

    @property
    def reaches(self) -> bool:
        """Whether loads and constants are within reach of the instructions that hold them."""
        last = max(self.columns(pixels)[-1] for pixels, _, _ in self.parts)
        most = max(pixels for pixels, _, _ in self.parts)
        return (
            max(last, most * self.stride) * self.pixel_bytes <= LARGEST_OFFSET
            and self.row_bytes <= LONGEST_ROW_BYTES
            and self.pixels * self.channels <= LONGEST_ROW_BYTES
        )

    @property
    def title(self) -> str:
        """What the listing calls the loops."""
        most = max(pixels for pixels, _, _ in self.parts)
        return f"{most}x2" + (" dual-issue" if self.issue == "dual" else "")

    def columns(self, pixels: int) -> tuple[int, ...]:
        """Input pixels of a row that a block of so many output pixels reads."""
        windows = ((pixel * self.stride, self.kernel_width) for pixel in range(pixels))
        return tuple(sorted({first + tap for first, width in windows for tap in range(width)}))


def depthwise_assembly(row: DepthwiseRow) -> list[str]:
    """The body of a naked function that takes a `depthwise_job` in r0: lines of assembly."""
    lines = [
        "push {r4-r11, lr}",
        f"sub sp, #{_FRAME}",
        "mov r1, sp",
        f"ldmia r0, {{r2-r8}}  @ the job's {JOB_WORDS} words",
        "stmia r1, {r2-r8}",
        "mov r2, #1",
        f"str r2, [sp, #{_NEXT_CHANNEL}]",
        "1:  @ two channels",
        *(line for part in row.parts for line in _part(row, *part)),
        *_next_pair(row),
        f"add sp, #{_FRAME}",
        "pop {r4-r11, pc}",
    ]
    if row.issue == "single":
        return lines
    most = max(pixels for pixels, _, _ in row.parts)
    return order_for_dual_issue(lines, (*_SCRATCH, *ACCUMULATORS[2 * most :]))


def _part(row: DepthwiseRow, pixels: int, count: int, first: int) -> Iterator[str]:
    yield "4:  @ registers change hands"
    if count > 1:
        yield f"movw r2, #{count}"
        yield f"str r2, [sp, #{_BLOCKS}]"
    yield f"2:  @ {pixels} pixels from the {first}th on"
    names = _AROUND_FIXED if row.issue == "single" else _AROUND_POOLED
    kernel_rows = _kernel_rows if row.issue == "single" else _paired_kernel_rows
    yield from _start_accumulators(pixels, names)
    yield from kernel_rows(row, pixels)
    if row.amplifies:
        yield from _requantise_amplified_and_store(row, pixels, names)
    else:
        yield from _requantise_and_store(row, pixels, names)
    yield from _next_block(row, pixels, count, names)


def _accumulator(pixel: int, channel: int) -> str:
    return ACCUMULATORS[2 * pixel + channel]


def _start_accumulators(pixels: int, names: dict[str, str]) -> Iterator[str]:
    yield f"ldr {names['biases']}, [sp, #{_CHANNELS}]"
    yield f"ldr {_accumulator(0, 0)}, [{names['biases']}]  @ bias"
    yield f"ldr {_accumulator(0, 1)}, [{names['biases']}, #16]"
    for pixel in range(1, pixels):
        for channel in (0, 1):
            yield f"mov {_accumulator(pixel, channel)}, {_accumulator(0, channel)}"


def _kernel_rows(row: DepthwiseRow, pixels: int) -> Iterator[str]:
    for kernel_row in range(row.kernel_height):
        names = _FIXED | {
            f"value{column}": name
            for group in _column_groups(row.columns(pixels))
            for column, name in zip(group, _FIXED_VALUES, strict=False)
        }
        yield from _load_row(row, kernel_row, names)
        yield from _expand_weights(row, names)
        for group in _column_groups(row.columns(pixels)):
            for column in group:
                yield _load_value(row, column, names)
            for column in group:
                yield from _multiply(row, pixels, column, names)


def _paired_kernel_rows(row: DepthwiseRow, pixels: int) -> Iterator[str]:
    """The same, the next kernel row being found while the last columns are multiplied."""
    columns = row.columns(pixels)
    roles = (*_FIXED, *(f"value{column}" for column in columns))
    names = [
        {role: f"v{kernel_row * len(roles) + i}" for i, role in enumerate(roles)}
        for kernel_row in range(row.kernel_height)
    ]
    yield from _load_row(row, 0, names[0])
    for kernel_row in range(row.kernel_height):
        yield from _expand_weights(row, names[kernel_row])
        for column in columns:
            yield _load_value(row, column, names[kernel_row])
            yield from _multiply(row, pixels, column, names[kernel_row])
        if kernel_row + 1 < row.kernel_height:
            yield from _load_row(row, kernel_row + 1, names[kernel_row + 1])


def _load_row(row: DepthwiseRow, kernel_row: int, names: dict[str, str]) -> Iterator[str]:
    place = kernel_row * 4 * row.row_words
    yield f"ldr {names['weights']}, [sp, #{_WEIGHTS}]  @ kernel row {kernel_row}"
    yield f"ldr {names['rows']}, [sp, #{_ROWS}]"
    yield f"ldr {names['column']}, [sp, #{_COLUMN}]"
    yield f"ldr {names['entry']}, [{names['rows']}, #{4 * kernel_row}]"
    if row.row_words == 2:
        yield f"ldr {names['word1']}, [{names['weights']}, #{place + 4}]"
    yield f"ldr {names['word0']}, [{names['weights']}, #{place}]"
    yield f"add {names['row']}, {names['entry']}, {names['column']}"


def _expand_weights(row: DepthwiseRow, names: dict[str, str]) -> Iterator[str]:
    if row.kernel_width > 1:
        yield f"sxtb16 {names['tap1']}, {names['word0']}, ror #8"
    yield f"sxtb16 {names['tap0']}, {names['word0']}"
    if row.row_words == 2:
        yield f"sxtb16 {names['tap2']}, {names['word1']}"


def _load_value(row: DepthwiseRow, column: int, names: dict[str, str]) -> str:
    return f"ldr {names[f'value{column}']}, [{names['row']}, #{column * row.pixel_bytes}]"


def _column_groups(columns: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Columns whose loads stand side by side: two, and three at the end of an odd number."""
    ends = [*range(2, len(columns) - 1, 2), len(columns)]
    return [columns[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _multiply(row: DepthwiseRow, pixels: int, column: int, names: dict[str, str]) -> Iterator[str]:
    value = names[f"value{column}"]
    for pixel in range(pixels):
        tap = column - pixel * row.stride
        if 0 <= tap < row.kernel_width:
            weight = names[f"tap{tap}"]
            low, high = (_accumulator(pixel, channel) for channel in (0, 1))
            yield f"smlabb {low}, {value}, {weight}, {low}"
            yield f"smlatt {high}, {value}, {weight}, {high}"


def _requantise_and_store(row: DepthwiseRow, pixels: int, names: dict[str, str]) -> Iterator[str]:
    yield f"ldr {names['constants']}, [sp, #{_CHANNELS}]"
    yield f"ldr {names['zero_point']}, [sp, #{_ZERO_POINT}]"
    yield f"ldr {names['output']}, [sp, #{_OUTPUT}]"
    yield f"ldr {names['low']}, [{names['constants']}, #4]  @ multipliers"
    yield f"ldr {names['high']}, [{names['constants']}, #20]"
    for pixel in range(pixels):
        for channel, half in enumerate(("low", "high")):
            value = _accumulator(pixel, channel)
            yield f"smmlar {value}, {value}, {names[half]}, {names['zero_point']}"
            yield f"ssat {value}, #8, {value}"
            place = pixel * row.channels + 2 * channel
            yield f"strb {value}, [{names['output']}, #{place}]"


def _requantise_amplified_and_store(
    row: DepthwiseRow, pixels: int, names: dict[str, str]
) -> Iterator[str]:
    """One channel after the other, as each takes two multipliers, one of which is 0."""
    yield f"ldr {names['constants']}, [sp, #{_CHANNELS}]"
    yield f"ldr {names['zero_point']}, [sp, #{_ZERO_POINT}]"
    yield f"ldr {names['output']}, [sp, #{_OUTPUT}]"
    for channel in (0, 1):
        multiplier, plain, amplified = (
            names.get(f"{role}{channel}", fixed)
            for role, fixed in (("multiplier", "r2"), ("plain", "r2"), ("amplified", "r3"))
        )
        yield f"ldr {multiplier}, [{names['constants']}, #{16 * channel + 4}]  @ multiplier"
        yield from split_multiplier(multiplier, plain, amplified)
        for pixel in range(pixels):
            value = _accumulator(pixel, channel)
            scratch = names.get(f"saturated{channel}{pixel}", "lr")
            yield from requantise_amplified(value, scratch, plain, amplified, names["zero_point"])
            yield f"ssat {value}, #8, {value}"
            place = pixel * row.channels + 2 * channel
            yield f"strb {value}, [{names['output']}, #{place}]"


def _next_block(row: DepthwiseRow, pixels: int, count: int, names: dict[str, str]) -> Iterator[str]:
    output, column, blocks = names["next_output"], names["next_column"], names["blocks"]
    yield f"ldr {names['column']}, [sp, #{_COLUMN}]"
    if count > 1:
        yield f"ldr {names['blocks_left']}, [sp, #{_BLOCKS}]"
    yield f"add {output}, {names['output']}, #{pixels * row.channels}"
    yield f"add {column}, {names['column']}, #{pixels * row.stride * row.pixel_bytes}"
    yield f"str {output}, [sp, #{_OUTPUT}]"
    yield f"str {column}, [sp, #{_COLUMN}]"
    if count > 1:
        yield f"subs {blocks}, {names['blocks_left']}, #1"
        yield f"str {blocks}, [sp, #{_BLOCKS}]"
        yield "bne 2b"


def _next_pair(row: DepthwiseRow) -> Iterator[str]:
    """Back to the start of the row; pairs are channels 0 and 2, then 1 and 3, of each four."""
    yield "4:  @ the next two channels"
    yield f"ldr r1, [sp, #{_OUTPUT}]"
    yield f"ldr r3, [sp, #{_COLUMN}]"
    yield f"ldr r0, [sp, #{_WEIGHTS}]"
    yield f"ldr r2, [sp, #{_NEXT_CHANNEL}]  @ 1 and 3 in turn"
    yield f"ldr r4, [sp, #{_CHANNELS}]"
    yield f"ldr r5, [sp, #{_PAIRS}]"
    yield f"movw r6, #{row.pixels * row.channels}"
    yield f"movw r7, #{row.row_bytes - 4}"
    yield f"add r0, #{row.pair_bytes}"
    yield "add r4, r4, r2, lsl #3"
    yield "sub r1, r6"
    yield "add r1, r2"
    yield "sub r3, r7"
    yield "eor r2, #2"
    yield f"str r0, [sp, #{_WEIGHTS}]"
    yield f"str r2, [sp, #{_NEXT_CHANNEL}]"
    yield f"str r4, [sp, #{_CHANNELS}]"
    yield f"str r1, [sp, #{_OUTPUT}]"
    yield f"str r3, [sp, #{_COLUMN}]"
    yield "subs r5, #1"
    yield f"str r5, [sp, #{_PAIRS}]"
    yield "bne 1b"
