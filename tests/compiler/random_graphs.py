"""Graphs, windows and quantisations of benchmarks.graph_generator, drawn by Hypothesis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import strategies as st

from automcu.compiler import Graph, Quantisation
from automcu.compiler.tensor import Clamp, Window
from benchmarks import graph_generator
from benchmarks.graph_generator import ALL_STEPS, CLAMPS, Step

T = TypeVar("T")


@dataclass(frozen=True)
class DrawnChoices:
    """Decisions that Hypothesis takes, and shrinks where a test fails."""

    draw: st.DrawFn

    def integer(self, least: int, most: int) -> int:
        return self.draw(st.integers(least, most))

    def number(self, least: float, most: float) -> float:
        return self.draw(st.floats(least, most))

    def one_of(self, options: Sequence[T]) -> T:
        return self.draw(st.sampled_from(options))


@st.composite
def quantisations(draw: st.DrawFn) -> Quantisation:
    return graph_generator.quantisation(DrawnChoices(draw))


def clamps() -> st.SearchStrategy[Clamp]:
    return st.sampled_from(CLAMPS)


@st.composite
def windows(
    draw: st.DrawFn, height: int, width: int, largest: int = 4, pooling: bool = False
) -> Window:
    return graph_generator.window(DrawnChoices(draw), height, width, largest, pooling)


@st.composite
def graphs(
    draw: st.DrawFn,
    most_steps: int = 8,
    all_quantised: bool = False,
    channel_step: int = 1,
    kinds: tuple[Step, ...] = ALL_STEPS,
) -> Graph:
    """See `graph_of`; `kinds` are the steps that the graph may be made of."""
    steps = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=most_steps))
    return graph_generator.graph_of(DrawnChoices(draw), steps, all_quantised, channel_step)


@st.composite
def tall_chains(draw: st.DrawFn) -> Graph:
    return graph_generator.tall_chain(DrawnChoices(draw))
