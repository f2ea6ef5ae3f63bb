"""Attention for cores of 32 bits without packed arithmetic: a word holds four channels.

Bytes are cut from words unsigned, after all of a word were moved up by 128 with one exclusive or:
a core without signed loads of bytes needs three instructions a byte otherwise. Two queries share
what is cut. Scratch grows with the number of pixels, not with its square.
"""

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops.portable_transformer import (
    attention_settings,
    pack_attention,
)

_WORD_CHANNELS = 4
_QUERIES = 2
_WORD_BYTES = 4
_PARTS = 3  # query, key, value


def attention_words(operator: Operator, graph: Graph) -> tuple[Kernel, ...]:
    """The kernel; none where heads are no whole words."""
    settings = attention_settings(operator, graph)
    pixels, depth, heads = settings.pixels, settings.depth, settings.heads
    if depth % _WORD_CHANNELS:
        return ()
    queries_offset = _QUERIES * _WORD_BYTES * pixels
    pairs = heads * -(-pixels // _QUERIES)  # of queries
    kernel = Kernel(
        variant="attention by words",
        function=f"{settings.function}_words",
        template="attention_words.c.j2",
        settings=settings.constants
        | {
            "stride_words": _PARTS * heads * depth // _WORD_CHANNELS,
            "queries_offset": queries_offset,
        },
        parameters_type="attention_parameters",
        arrays=(),
        pack=pack_attention,
        scratch_bytes=queries_offset + _QUERIES * _WORD_BYTES * depth,
        work={
            "macs": pairs * _QUERIES * pixels * depth,  # of scores; those of means are as many
            "scores": pairs * pixels,
            "words": pairs * depth // _WORD_CHANNELS,
            "queries": pairs,
        },
    )
    return (kernel,)
