"""A chain of operators whose tensors in between are never whole in memory.

The chain computes what its operators compute one after the other; only the kernel differs, which
makes some rows of the result at a time from as many rows of each tensor as they need.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from automcu.compiler.ops.definition import Definition, Values
from automcu.compiler.tensor import Quantisation, Shape


@dataclass(frozen=True, eq=False)
class Stage:
    """One operator of the chain; `result` is the quantisation of its output.

    `attributes` are those of an operator with a window, or of one that works pixel by pixel.
    """

    name: str
    attributes: Any
    result: Quantisation | None


@dataclass(frozen=True, eq=False)
class Stripes:
    """The chain, and how many rows of its result are computed at a time.

    Only the last stage may have a second input: the operator's own second input, or, with
    `adds_input`, that of the whole chain, as in a residual block.
    """

    stages: tuple[Stage, ...]
    rows: int
    adds_input: bool = False


_DefinitionOf = Callable[[Any], Definition[Any, Any]]


def stage_shapes(stripes: Stripes, source: Shape, definition_of: _DefinitionOf) -> list[Shape]:
    """Shapes of the chain's input and of every stage's result."""
    shapes = [source]
    for stage in stripes.stages:
        definition = definition_of(stage.attributes)
        shapes.append(definition.output_shape(stage.attributes, (shapes[-1],)))
    return shapes


def by_rows(stripes: Stripes) -> str:
    """How a person is told of the stripes."""
    return f"{stripes.rows} row{'s' if stripes.rows > 1 else ''} at a time"


def definition(definition_of: _DefinitionOf) -> Definition[Stripes, tuple[Any, ...]]:
    """The functions of the operator, made of those of its stages; integers are one per stage."""

    def title(attributes: Stripes, shape: Shape) -> str:
        shapes = stage_shapes(attributes, shape, definition_of)
        titles = [
            definition_of(stage.attributes).title(stage.attributes, source)
            for stage, source in zip(attributes.stages, shapes, strict=False)
        ]
        return f"{', '.join(titles)}, {by_rows(attributes)}"

    def output_shape(attributes: Stripes, shapes: tuple[Shape, ...]) -> Shape:
        return stage_shapes(attributes, shapes[0], definition_of)[-1]

    def lower(
        attributes: Stripes, sources: tuple[Quantisation, ...], result: Quantisation
    ) -> tuple[Any, ...]:
        integers = []
        source, *others = sources
        others += [source] if attributes.adds_input else []
        for stage, target, operands in _with_operands(attributes, result, tuple(others)):
            lowered = definition_of(stage.attributes).lower(
                stage.attributes, (source, *operands), target
            )
            integers.append(lowered)
            source = target
        return tuple(integers)

    def reference(
        inputs: tuple[Values, ...], attributes: Stripes, integers: tuple[Any, ...]
    ) -> Values:
        values, *others = inputs
        others += [values] if attributes.adds_input else []
        last = attributes.stages[-1]
        for stage, numbers in zip(attributes.stages, integers, strict=True):
            operands = (values, *others) if stage is last else (values,)
            values = definition_of(stage.attributes).reference(operands, stage.attributes, numbers)
        return values

    def multiply_accumulates(attributes: Stripes, source: Shape, result: Shape) -> int:
        shapes = stage_shapes(attributes, source, definition_of)
        return sum(
            definition_of(stage.attributes).multiply_accumulates(stage.attributes, before, after)
            for stage, before, after in zip(attributes.stages, shapes[:-1], shapes[1:], strict=True)
        )

    return Definition(
        title=title,
        output_shape=output_shape,
        lower=lower,
        reference=reference,
        multiply_accumulates=multiply_accumulates,
    )


def _with_operands(
    attributes: Stripes, result: Quantisation, others: tuple[Quantisation, ...]
) -> Iterator[tuple[Stage, Quantisation, tuple[Quantisation, ...]]]:
    """Each stage with the quantisation of its result and of its second input."""
    last = attributes.stages[-1]
    for stage in attributes.stages:
        target = result if stage is last else stage.result
        if target is None:
            raise ValueError(f"the result of {stage.name} is not quantised")
        yield stage, target, others if stage is last else ()
