"""The inner loop of a convolution for cores that issue two instructions at a time.

Multiplications go on while the values of the next ones are loaded and expanded, so that nearly
every cycle holds one: four pixels by two channels take 9 cycles where a Cortex-M4 takes 17.
`order_for_dual_issue` interleaves the instructions; what is said here is in which order values
come to life, which decides how well that can be done with the registers there are.
"""

from collections.abc import Iterator, Sequence

from automcu.compiler.isa.armv7e_m.block_shape import ACCUMULATORS, Block

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
