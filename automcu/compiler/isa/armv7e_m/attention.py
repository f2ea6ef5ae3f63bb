"""Attention on armv7e-m: two queries at a time, products of halfwords.

A word of four channels of a key becomes two words of halfwords, each multiplied with both queries.
Weights of values have 14 bits: those of both queries lie in a word too. Scratch still grows with
the number of pixels, not with its square.

The two inner loops are assembly: C with the same instructions spills registers, as compilers load
far ahead. Loads stand behind one another, where each but the first takes one cycle (Cortex-M4
Technical Reference Manual, ARM 100166, 3.3.3).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from automcu.compiler.isa.armv7e_m.ternary import Function
from automcu.compiler.isa.instruction_set import ARMV7E_M
from automcu.compiler.kernel import Kernel, SharedCode
from automcu.compiler.ops.attention import (
    PARAMETERS,
    PARTS,
    Attention,
    attention_shape,
    pack_attention,
)
from automcu.compiler.tensor import Tensor
from automcu.mcu.core import Core

WORD_CHANNELS = 4
MOST_STRIDE = 4095  # bytes between pixels, an offset of a load
UNROLLED_KEYS = 4  # of the loop over values
_MOST_UNROLLED_WORDS = 4
_SYNTAX = ".syntax unified"
_QUERIES = 2
_BYTES_PER_SCORE = 4
_BYTES_PER_QUERY_VALUE = 2

Call = tuple[str, int, int]  # which function, and what it is specialised for


@ARMV7E_M.register(Attention)
def armv7e_m_attention(
    attributes: Attention, inputs: tuple[Tensor, ...], output: Tensor, core: Core
) -> Iterator[Kernel]:
    """The kernel; none for odd heads and few or wide pixels."""
    shape = attention_shape(attributes, inputs[0], output)
    pixels, depth, heads = shape.pixels, shape.depth, shape.heads
    stride = PARTS * heads * depth
    if depth % WORD_CHANNELS or pixels < UNROLLED_KEYS or stride > MOST_STRIDE:
        return
    queries_offset = _QUERIES * _BYTES_PER_SCORE * pixels
    calls = [scores_call(depth, stride), means_call(stride, pixels % UNROLLED_KEYS)]
    scores_function, means_function = map(function_name, calls)
    pairs = heads * -(-pixels // _QUERIES)  # of queries
    yield Kernel(
        isa="armv7e-m",
        variant="armv7e-m attention",
        cost_key="armv7e_m_attention",
        function=f"{shape.function}_by2",
        template=Path(__file__).with_name("attention.c.j2"),
        settings=shape.settings
        | {
            "queries_offset": queries_offset,
            "attention_calls": calls,
            "scores_function": scores_function,
            "means_function": means_function,
        },
        parameters=PARAMETERS,
        pack=pack_attention,
        scratch_bytes=queries_offset + _QUERIES * _BYTES_PER_QUERY_VALUE * depth,
        work={
            "macs": pairs * _QUERIES * pixels * depth,  # of scores; those of means are as many
            "scores": pairs * pixels,
            "words": pairs * depth // WORD_CHANNELS,
            "queries": pairs,
        },
        helpers=(scores_function, means_function),
        shared_code=(ATTENTION_FUNCTIONS,),
    )


def scores_call(depth: int, stride: int) -> Call:
    """The function for scores, for heads of `depth` channels in pixels of `stride` bytes."""
    return "scores", depth, stride


def means_call(stride: int, rest: int) -> Call:
    """The function for sums of values; `rest` of the keys are behind the last whole four."""
    return "means", stride, rest


def function_name(call: Call) -> str:
    """What the function is called in C."""
    return f"attention_{call[0]}_{call[1]}x{call[2]}"


def _functions(kernels: Sequence[Kernel]) -> dict[str, object]:
    """The functions that a program's kernels of attention call."""
    used = {call for kernel in kernels for call in _calls(kernel)}
    return {"functions": [_function(call) for call in sorted(used)]}


ATTENTION_FUNCTIONS = SharedCode(Path(__file__).with_name("attention.h.j2"), _functions, order=3)


def _calls(kernel: Kernel) -> list[Call]:
    calls = kernel.settings.get("attention_calls")
    return calls if isinstance(calls, list) else []


def _function(call: Call) -> Function:
    if call[0] == "scores":
        return Function(
            function_name(call),
            tuple(_scores_lines(*call[1:])),
            "Products of both queries with every key, two keys at a time",
            ("const int8_t *keys", "const uint32_t *queries", "int32_t *scores", "int32_t *end"),
        )
    return Function(
        function_name(call),
        tuple(_means_lines(*call[1:])),
        "Sums of four channels of all values by the weights of both queries",
        ("const int8_t *values", "const uint32_t *weights", "int32_t *sums", "const uint32_t *end"),
    )


def _scores_lines(depth: int, stride: int) -> Iterator[str]:
    """r0 key, r1 queries, lr their end, r2 scores, r3 their end; r4 to r7 the scores of a pair."""
    words = depth // WORD_CHANNELS
    unrolled = next(n for n in (_MOST_UNROLLED_WORDS, 2, 1) if words % n == 0)
    yield _SYNTAX
    yield "push {r4-r11, lr}"
    yield f"add lr, r1, #{4 * depth}"
    yield "1:"
    for score in range(4, 8):
        yield f"mov r{score}, #0"
    yield "2:"
    for word in range(unrolled):
        yield f"ldr r9, [r0, #{stride}]"
        yield f"ldr r8, [r0], #{WORD_CHANNELS}"
        for half, rotation in enumerate(("", ", ror #8")):
            yield f"ldr r10, [r1, #{16 * word + 8 * half}]"
            yield f"ldr r11, [r1, #{16 * word + 8 * half + 4}]"
            for source, first in (("r8", 4), ("r9", 6)):
                yield f"sxtb16 r12, {source}{rotation}"
                yield f"smlad r{first}, r10, r12, r{first}"
                yield f"smlad r{first + 1}, r11, r12, r{first + 1}"
    yield f"add r1, r1, #{16 * unrolled}"
    yield "cmp r1, lr"
    yield "bne 2b"
    yield "stmia r2!, {r4-r7}"
    yield f"sub r1, r1, #{4 * depth}"
    yield from _advanced("r0", 2 * stride - depth)
    yield "cmp r2, r3"
    yield "bne 1b"
    yield "pop {r4-r11, pc}"


def _means_lines(stride: int, rest: int) -> Iterator[str]:
    """r0 values, r1 weights, r3 the end of the loop; r4 to r11 sums, of query 0 and 1 in turn."""
    yield _SYNTAX
    yield "push {r2, r4-r11, lr}"
    for sum_ in range(4, 12):
        yield f"mov r{sum_}, #0"
    yield "1:"
    for _ in range(UNROLLED_KEYS):
        yield from _key_lines(stride)
    yield "cmp r1, r3"
    yield "bne 1b"
    for _ in range(rest):
        yield from _key_lines(stride)
    yield "ldr r2, [sp]"
    yield "stmia r2, {r4-r11}"
    yield "pop {r2, r4-r11, pc}"


def _key_lines(stride: int) -> Iterator[str]:
    """One value, weighed for both queries."""
    yield "ldr r12, [r0]"
    yield "ldr lr, [r1], #4"
    yield from _advanced("r0", stride)
    for half, rotation in enumerate(("", ", ror #8")):
        yield f"sxtb16 r2, r12{rotation}"
        for place, half_word in ((half, "b"), (half + 2, "t")):
            yield f"smla{half_word}b r{4 + 2 * place}, r2, lr, r{4 + 2 * place}"
            yield f"smla{half_word}t r{5 + 2 * place}, r2, lr, r{5 + 2 * place}"


def _advanced(register: str, distance: int) -> Iterator[str]:
    """The register plus any distance, in steps that an instruction holds."""
    while distance:
        step = min(distance, MOST_STRIDE)
        yield f"addw {register}, {register}, #{step}"
        distance -= step
