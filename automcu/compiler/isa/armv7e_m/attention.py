"""Attention on armv7e-m: two queries at a time, products of halfwords.

A word of four channels of a key becomes two words of halfwords, each multiplied with both queries.
Weights of values have 14 bits: those of both queries lie in a word too. Scratch still grows with
the number of pixels, not with its square.
"""

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.isa.armv7e_m.attention_assembly import (
    MOST_STRIDE,
    UNROLLED_KEYS,
    WORD_CHANNELS,
    function_name,
    means_call,
    scores_call,
)
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops.portable_transformer import (
    attention_settings,
    pack_attention,
)
from automcu.mcu.profile import Core

_QUERIES = 2
_BYTES_PER_SCORE = 4
_BYTES_PER_QUERY_VALUE = 2
_PARTS = 3  # query, key, value


def armv7e_m_attention(operator: Operator, graph: Graph, core: Core) -> tuple[Kernel, ...]:
    """The kernel for cores with the DSP extension; none for odd heads and few or wide pixels."""
    settings = attention_settings(operator, graph)
    pixels, depth, heads = settings.pixels, settings.depth, settings.heads
    stride = _PARTS * heads * depth
    if depth % WORD_CHANNELS or pixels < UNROLLED_KEYS or stride > MOST_STRIDE:
        return ()
    queries_offset = _QUERIES * _BYTES_PER_SCORE * pixels
    calls = [scores_call(depth, stride), means_call(stride, pixels % UNROLLED_KEYS)]
    pairs = heads * -(-pixels // _QUERIES)  # of queries
    kernel = Kernel(
        variant="armv7e-m attention",
        function=f"{settings.function}_by2",
        template="armv7e_m_attention.c.j2",
        settings=settings.constants
        | {
            "queries_offset": queries_offset,
            "attention_calls": calls,
            "scores_function": function_name(calls[0]),
            "means_function": function_name(calls[1]),
        },
        parameters_type="attention_parameters",
        arrays=(),
        pack=pack_attention,
        scratch_bytes=queries_offset + _QUERIES * _BYTES_PER_QUERY_VALUE * depth,
        work={
            "macs": pairs * _QUERIES * pixels * depth,  # of scores; those of means are as many
            "scores": pairs * pixels,
            "words": pairs * depth // WORD_CHANNELS,
            "queries": pairs,
        },
    )
    return (kernel,)
