"""A chain of operators whose tensors in between are never whole in memory.

The chain computes what its operators compute one after the other; only the kernel differs, which
makes some rows of the result at a time from as many rows of each tensor as they need.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from automcu.compiler.graph import Attributes, Graph, Operator
from automcu.compiler.kernel import Kernel
from automcu.compiler.tensor import Quantisation, Shape, Tensor, Values
from automcu.compiler.tiling.kernel import row_tiling_kernel


@dataclass(frozen=True, eq=False)
class Stage:
    """One operator of the chain; `result` is the quantisation of its output.

    `attributes` are those of an operator whose rows can be computed alone.
    """

    name: str
    attributes: Attributes
    result: Quantisation | None


@dataclass(frozen=True, eq=False)
class RowTiling(Attributes):
    """The chain, and how many rows of its result are computed at a time; integers are by stage.

    Only the last stage may have a second input: the operator's own second input, or, with
    `adds_input`, that of the whole chain, as in a residual block.
    """

    stages: tuple[Stage, ...]
    rows: int
    adds_input: bool = False

    @property
    def rows_title(self) -> str:
        """How the rows are written for people."""
        return f"{self.rows} row{'s' if self.rows > 1 else ''} at a time"

    def shapes(self, source: Shape) -> list[Shape]:
        """Shapes of the chain's input and of every stage's result."""
        shapes = [source]
        for stage in self.stages:
            shapes.append(stage.attributes.output_shape(shapes[-1]))
        return shapes

    def title(self, source: Shape) -> str:
        titles = [
            stage.attributes.title(shape)
            for stage, shape in zip(self.stages, self.shapes(source), strict=False)
        ]
        return f"{', '.join(titles)}, {self.rows_title}"

    def output_shape(self, *sources: Shape) -> Shape:
        return self.shapes(sources[0])[-1]

    def macs(self, source: Shape, result: Shape) -> int:
        shapes = self.shapes(source)
        return sum(
            stage.attributes.macs(before, after)
            for stage, before, after in zip(self.stages, shapes[:-1], shapes[1:], strict=True)
        )

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> tuple[Any, ...]:
        integers = []
        source, *others = sources
        others += [source] if self.adds_input else []
        for stage, target, operands in self._with_operands(result, tuple(others)):
            integers.append(stage.attributes.lower((source, *operands), target))
            source = target
        return tuple(integers)

    def _with_operands(
        self, result: Quantisation, others: tuple[Quantisation, ...]
    ) -> Iterator[tuple[Stage, Quantisation, tuple[Quantisation, ...]]]:
        """Each stage with the quantisation of its result and of its second input."""
        last = self.stages[-1]
        for stage in self.stages:
            target = result if stage is last else stage.result
            if target is None:
                raise ValueError(f"the result of {stage.name} is not quantised")
            yield stage, target, others if stage is last else ()

    def reference(self, inputs: tuple[Values, ...], integers: tuple[Any, ...]) -> Values:
        values, *others = inputs
        others += [values] if self.adds_input else []
        last = self.stages[-1]
        for stage, numbers in zip(self.stages, integers, strict=True):
            operands = (values, *others) if stage is last else (values,)
            values = stage.attributes.reference(operands, numbers)
        return values

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        """The chain by portable kernels."""
        return row_tiling_kernel(self, inputs, output, Operator.kernel)

    def chosen_kernel(
        self, operator: Operator, graph: Graph, choose: Callable[[Operator, Graph], Kernel]
    ) -> Kernel:
        """The chain by the kernels that are chosen for its stages."""
        output = graph.tensors[operator.output]
        return row_tiling_kernel(self, operator.sources(graph), output, choose)
