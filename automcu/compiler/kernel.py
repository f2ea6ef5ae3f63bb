"""A kernel: the C function that carries out one operator, specialised by its shape.

Everything in the record follows from shapes alone, so that a network can be costed before it has
weights; `pack` then fills the arrays that `arrays` promised.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.lowering import Integers

ARRAY_ALIGNMENT = 4

_RING = ("advance_ring", "widen_pixels")
_HELPERS = ("add_whole", "add_rest", "scores_function", "means_function")

# Settings by which one template becomes code that has little in common. What they add to code that
# otherwise stays as it is are units of work and of code.
_OPTIONS = {
    "add": ("wide_sum",),
    "add_constant": ("wide_values",),
    "armv7e_m_add": ("clamps",),
    "armv7e_m_average_pool": ("cut",),
    "armv7e_m_convolution": ("residual",),
    "armv7e_m_rescale": ("clamps",),
    "armv7e_m_ternary": ("residual", "clamps"),
    "attention": ("blocked",),
    "average_pool": ("cut", "dilated"),
    "depthwise": ("single_tap", "cut"),
    "max_pool": ("cut", "dilated"),
    "multiply": ("flat",),
    "stripes": ("residual",),
}


@dataclass(frozen=True)
class ArrayShape:
    """A constant array of a layer: its element type in C, its bytes with padding."""

    name: str
    c_type: str
    size: int


@dataclass(frozen=True)
class LayerConstants:
    """What a layer adds to the kernel: its arrays, and the fields of its parameter record."""

    arrays: Mapping[str, NDArray[np.generic]]
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Candidate:
    """A kernel that could carry out an operator, and its modelled cycles."""

    variant: str
    cycles: int


@dataclass(frozen=True)
class Kernel:
    """`settings` are the template's constants.

    `overwrites` are the inputs whose memory the output may take; `parameters_type` is the C type
    of the layer's parameter record, or None; `template` is a file of firmware/kernels; `work`
    counts what the kernel does, for the latency model; `code` what it is made of beyond its
    category, for the code size model. `parts` are kernels that it calls, and how often: work and
    code of theirs are not in its own. `candidates` are those that it was chosen from, itself
    first; empty where there was no choice, or no figures to go by.
    """

    variant: str
    function: str
    template: str
    settings: Mapping[str, object]
    parameters_type: str | None
    arrays: tuple[ArrayShape, ...]
    pack: Callable[[Operator, Graph, Integers], LayerConstants]
    scratch_bytes: int = 0
    overwrites: tuple[int, ...] = ()
    work: Mapping[str, int] = field(default_factory=dict)
    code: Mapping[str, int] = field(default_factory=dict)
    parts: tuple[tuple["Kernel", int], ...] = ()
    candidates: tuple[Candidate, ...] = ()

    @property
    def with_parts(self) -> tuple["Kernel", ...]:
        """The kernels that it calls, then the kernel itself."""
        return (*(part for part, _ in self.parts), self)

    @property
    def category(self) -> str:
        """Kernels of one category are one piece of code but for the constants in it."""
        template = self.template.removesuffix(".c.j2")
        options = [option for option in _OPTIONS.get(template, ()) if self.settings.get(option)]
        portable = ["portable"] if self.variant.startswith("portable") else []
        return "-".join([*portable, template, *options])

    def unit_name(self, unit: str) -> str:
        """What a unit of `work` or `code` is called among those of all kernels.

        One with a slash is done by code that kernels share, and costs the same in each.
        """
        return unit if "/" in unit else f"{self.category}/{unit}"

    @property
    def shared_function(self) -> str | None:
        """The C function that unpacks its weights; a program has it once."""
        name = self.settings.get("unpack")
        return None if name is None else str(name)

    @property
    def shared_functions(self) -> tuple[str, ...]:
        """All C functions beside its own that the kernel calls and a program has once."""
        ring = _RING if "ring_row" in self.settings and not self.settings.get("gathers") else ()
        return ring if self.shared_function is None else (*ring, self.shared_function)

    @property
    def helpers(self) -> tuple[str, ...]:
        """C functions for a few shapes that it calls, and that some others may call too."""
        return tuple(str(self.settings[name]) for name in _HELPERS if self.settings.get(name))

    @property
    def weight_bytes(self) -> int:
        """Flash that the layer's arrays take."""
        return sum(array.size for array in self.arrays)


def no_constants(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    """The `pack` of kernels that need neither arrays nor parameters."""
    return LayerConstants({}, {})


def aligned(size: int) -> int:
    """`size` rounded up to the alignment of constant arrays."""
    return -(-size // ARRAY_ALIGNMENT) * ARRAY_ALIGNMENT
