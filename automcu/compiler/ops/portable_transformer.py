"""What transformers have beside products: layer norm, attention, sums with constants."""

from dataclasses import dataclass

from automcu.compiler.fixed_point import INT32_MAX
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import ArrayShape, Kernel, LayerConstants, aligned
from automcu.compiler.lowering import Integers
from automcu.compiler.ops import attention, layer_norm
from automcu.compiler.ops.add_constant import (
    AddConstant,
    AddConstantIntegers,
    needs_wide_values,
)
from automcu.compiler.ops.attention import Attention, AttentionIntegers
from automcu.compiler.ops.layer_norm import LayerNormIntegers
from automcu.compiler.parameters import (
    add_fields,
    initialiser,
    requantisation_fields,
)

_INT32_BYTES = 4
_CHANNEL_BLOCK = 4  # of a head that the inner loops of attention compute at once
_INT16_BYTES = 2


def portable_layer_norm(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of a layer norm; it may write over its input."""
    height, width, channels = graph.tensors[operator.output].shape
    pixels = height * width
    return Kernel(
        variant="portable",
        function=f"layer_norm_{pixels}x{channels}",
        template="layer_norm.c.j2",
        settings={
            "pixels": pixels,
            "channels": channels,
            "radicand_bits": layer_norm.RADICAND_BITS,
            "reciprocal_bits": layer_norm.RECIPROCAL_BITS,
            "fraction_bits": layer_norm.FRACTION_BITS,
            "variance_bits": layer_norm.VARIANCE_BITS,
        },
        parameters_type="layer_norm_parameters",
        arrays=(
            ArrayShape("gains", "int32_t", _INT32_BYTES * channels),
            ArrayShape("offsets", "int32_t", _INT32_BYTES * channels),
        ),
        pack=_pack_layer_norm,
        overwrites=(0,),
        work={"outputs": pixels * channels, "rows": pixels},
    )


@dataclass(frozen=True)
class AttentionSettings:
    """What kernels of attention are made from; `depth` is a head's channels.

    Differences of scores are cut and shifted left where `score_shift` is not 0.
    """

    pixels: int
    heads: int
    depth: int
    score_shift: int = 0

    @property
    def function(self) -> str:
        """A name that tells the shape; equal shapes share one function."""
        name = f"attention_{self.pixels}x{self.heads * self.depth}_{self.heads}_heads"
        return name + (f"_shift{self.score_shift}" if self.score_shift else "")

    @property
    def constants(self) -> dict[str, object]:
        """What all templates are told."""
        return {
            "pixels": self.pixels,
            "channels": self.heads * self.depth,
            "heads": self.heads,
            "depth": self.depth,
            "score_shift": self.score_shift,
            "largest_score": INT32_MAX >> self.score_shift,
            "exponentials": attention.EXPONENTIALS.tolist(),
            "normalised_bits": attention.NORMALISED_BITS,
            "reciprocal_bits": attention.RECIPROCAL_BITS,
            "fraction_bits": attention.FRACTION_BITS,
        }


def attention_settings(operator: Operator, graph: Graph) -> AttentionSettings:
    """The shape of an attention.

    Raises:
        TypeError: the operator is another.
    """
    attributes = operator.attributes
    if not isinstance(attributes, Attention):
        raise TypeError(f"{operator.name} is not an attention")
    height, width, channels = graph.tensors[operator.output].shape
    source = graph.tensors[operator.inputs[0]].quantisation
    return AttentionSettings(
        height * width,
        attributes.heads,
        channels // attributes.heads,
        attention.score_shift(attributes, source) if source else 0,
    )


def portable_attention(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of self-attention: one query of one head at a time."""
    settings = attention_settings(operator, graph)
    pixels, depth = settings.pixels, settings.depth
    means_offset = _INT32_BYTES * pixels
    query_offset = means_offset + _INT32_BYTES * depth
    return Kernel(
        variant="portable",
        function=settings.function,
        template="attention.c.j2",
        settings=settings.constants
        | {
            "block": _CHANNEL_BLOCK if depth % _CHANNEL_BLOCK == 0 else 1,
            "blocked": depth % _CHANNEL_BLOCK == 0,
            "means_offset": means_offset,
            "query_offset": query_offset,
        },
        parameters_type="attention_parameters",
        arrays=(),
        pack=pack_attention,
        scratch_bytes=query_offset + _INT16_BYTES * depth,
        work={
            "macs": 2 * pixels * pixels * depth * settings.heads,
            "scores": pixels * pixels * settings.heads,
            "outputs": pixels * depth * settings.heads,
        },
    )


def portable_add_constant(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of a sum with constants; it may write over its input."""
    elements = graph.tensors[operator.output].size
    wide = _has_wide_values(operator, graph)
    values = (
        ArrayShape("values", "int32_t", _INT32_BYTES * elements)
        if wide
        else ArrayShape("values", "int8_t", aligned(elements))
    )
    return Kernel(
        variant="portable",
        function=f"add_constant_{elements}" + ("_wide" if wide else ""),
        template="add_constant.c.j2",
        settings={"elements": elements, "wide_values": wide},
        parameters_type="wide_add_constant_parameters" if wide else "add_constant_parameters",
        arrays=(values,),
        pack=_pack_add_constant,
        overwrites=(0,),
        work={"outputs": elements},
    )


def _has_wide_values(operator: Operator, graph: Graph) -> bool:
    """Whether constants are int32; unknown scales are taken for no."""
    source, result = (
        graph.tensors[name].quantisation for name in (operator.inputs[0], operator.output)
    )
    attributes = operator.attributes
    if not isinstance(attributes, AddConstant):
        raise TypeError(f"{operator.name} is not a sum with constants")
    return bool(source and result and needs_wide_values(attributes, source, result))


def _pack_layer_norm(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    if not isinstance(integers, LayerNormIntegers):
        raise TypeError(f"{operator.name} is not a layer norm")
    return LayerConstants(
        {"gains": integers.gains, "offsets": integers.offsets},
        {
            "epsilon": f"{integers.epsilon}ULL",
            "left_shift": str(integers.left_shift),
            "right_shift": str(integers.right_shift),
            "zero_point": str(integers.zero_point),
        },
    )


def pack_attention(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    """Its parameters; there are no arrays."""
    if not isinstance(integers, AttentionIntegers):
        raise TypeError(f"{operator.name} is not an attention")
    return LayerConstants(
        {},
        {
            "zero_point": str(integers.zero_point),
            "exponent_multiplier": str(int(integers.exponents.multipliers[0])),
            "multiplier": str(int(integers.scaling.multipliers[0])),
            "scaling": requantisation_fields(integers.scaling),
        },
    )


def _pack_add_constant(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    if not isinstance(integers, AddConstantIntegers):
        raise TypeError(f"{operator.name} is not a sum with constants")
    return LayerConstants(
        {"values": integers.values.reshape(-1)},
        {"scaling": initialiser(add_fields(integers.scaling))},
    )
