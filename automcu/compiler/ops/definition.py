"""What the compiler asks of every operator; each operator's file answers with one `Definition`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.tensor import Quantisation, Shape

Values = NDArray[np.int8]
AttributesT = TypeVar("AttributesT")
IntegersT = TypeVar("IntegersT")


def _no_products(attributes: object, source: Shape, result: Shape) -> int:
    return 0


@dataclass(frozen=True)
class Definition(Generic[AttributesT, IntegersT]):
    """The functions of one operator.

    `title` is what a person calls it, given the shape of its first input. `output_shape` follows
    from the shapes of the inputs. `lower` turns the real scales of inputs and output into the
    integers that kernels and reference compute with. `reference` computes them on int8 inputs
    [n, height, width, channels], byte for byte as every kernel does. `multiply_accumulates` of
    one inference follow from the shapes of the first input and the output.
    """

    title: Callable[[AttributesT, Shape], str]
    output_shape: Callable[[AttributesT, tuple[Shape, ...]], Shape]
    lower: Callable[[AttributesT, tuple[Quantisation, ...], Quantisation], IntegersT]
    reference: Callable[[tuple[Values, ...], AttributesT, IntegersT], Values]
    multiply_accumulates: Callable[[AttributesT, Shape, Shape], int] = _no_products


def first_shape(attributes: object, shapes: tuple[Shape, ...]) -> Shape:
    """The output shape of operators that keep that of their first input."""
    return shapes[0]
