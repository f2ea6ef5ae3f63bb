"""Attention for cores of 32 bits without packed arithmetic: a word holds four channels.

Bytes are cut from words unsigned, after all of a word were moved up by 128 with one exclusive or:
a core without signed loads of bytes needs three instructions a byte otherwise. Two queries share
what is cut. Scratch grows with the number of pixels, not with its square.
"""

from collections.abc import Iterator
from pathlib import Path

from automcu.compiler.isa.instruction_set import XTENSA_LX7
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops.attention import (
    PARAMETERS,
    PARTS,
    Attention,
    attention_shape,
    pack_attention,
)
from automcu.compiler.tensor import Tensor
from automcu.mcu.core import Core

_WORD_CHANNELS = 4
_QUERIES = 2
_WORD_BYTES = 4


@XTENSA_LX7.register(Attention)
def attention_by_words(
    attributes: Attention, inputs: tuple[Tensor, ...], output: Tensor, core: Core
) -> Iterator[Kernel]:
    """The kernel; none where heads are no whole words."""
    shape = attention_shape(attributes, inputs[0], output)
    pixels, depth, heads = shape.pixels, shape.depth, shape.heads
    if depth % _WORD_CHANNELS:
        return
    queries_offset = _QUERIES * _WORD_BYTES * pixels
    pairs = heads * -(-pixels // _QUERIES)  # of queries
    yield Kernel(
        isa="xtensa-lx7",
        variant="attention by words",
        cost_key="attention_words",
        function=f"{shape.function}_words",
        template=Path(__file__).with_name("attention.c.j2"),
        settings=shape.settings
        | {
            "stride_words": PARTS * heads * depth // _WORD_CHANNELS,
            "queries_offset": queries_offset,
        },
        parameters=PARAMETERS,
        pack=pack_attention,
        scratch_bytes=queries_offset + _QUERIES * _WORD_BYTES * depth,
        work={
            "macs": pairs * _QUERIES * pixels * depth,  # of scores; those of means are as many
            "scores": pairs * pixels,
            "words": pairs * depth // _WORD_CHANNELS,
            "queries": pairs,
        },
    )
