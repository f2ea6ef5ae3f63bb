"""A kernel: the C function that carries out one operator, specialised by its shape.

Everything in the record follows from shapes alone, so that a network can be costed before it has
weights; `pack` then fills the arrays that `arrays` promised.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

ARRAY_ALIGNMENT = 4

Isa = Literal["portable", "armv7e-m", "xtensa-lx7"]

_SUFFIXES = {"int64_t": "LL", "uint64_t": "ULL"}  # of integer constants in C
_LAST = 100


@dataclass(frozen=True)
class Field:
    """A field of a record in C.

    One with a `setting` is in a program's C only where some kernel of the program has that setting.
    """

    c_type: "str | Parameters"
    comment: str = ""
    setting: str = ""


@dataclass(frozen=True)
class Parameters:
    """A record in C, declared once: its type and the constants of that type are written from it.

    `fields` are in order, by name: the C type, the declaration of another record, or a `Field`.
    Records of low `order` stand first among those of a program.
    """

    name: str
    fields: "Mapping[str, str | Parameters | Field]"
    comment: str = ""
    order: int = _LAST

    def declaration(self, settings: Iterable[Mapping[str, object]] = ()) -> str:
        """The typedef for a program whose kernels have these settings."""
        known = list(settings)
        lines = [f"/* {self.comment} */"] if self.comment else []
        lines.append("typedef struct {")
        for name in self.fields:
            one = self._field(name)
            if not one.setting or any(setting.get(one.setting) for setting in known):
                comment = f" /* {one.comment} */" if one.comment else ""
                lines.append(f"    {declared(one.c_type, name)};{comment}")
        return "\n".join([*lines, f"}} {self.name};"])

    def constants(self, values: Mapping[str, object]) -> dict[str, str]:
        """Values by field as C constants: numbers, or what has a nested record's as attributes."""
        return {name: _constant(self._field(name).c_type, value) for name, value in values.items()}

    def constants_of(self, record: object) -> dict[str, str]:
        """The constants of all fields, which are attributes of the same names."""
        return self.constants({name: getattr(record, name) for name in self.fields})

    def _field(self, name: str) -> Field:
        one = self.fields[name]
        return one if isinstance(one, Field) else Field(one)


def declared(c_type: str | Parameters, name: str) -> str:
    """A C declaration without its semicolon."""
    text = c_type.name if isinstance(c_type, Parameters) else c_type
    return f"{text}{name}" if text.endswith("*") else f"{text} {name}"


def _constant(c_type: str | Parameters, value: object) -> str:
    if isinstance(c_type, Parameters):
        fields = c_type.constants_of(value).items()
        return "{" + ", ".join(f".{name} = {constant}" for name, constant in fields) + "}"
    return f"{value}{_SUFFIXES.get(c_type, '')}"


REQUANTISATION = Parameters(
    "requantisation",
    dict.fromkeys(("left_shift", "zero_point", "minimum", "maximum"), "int32_t"),
)
ADD_SCALING = Parameters(
    "add_scaling",
    {
        "multiplier_a": "int32_t",
        "multiplier_b": "int32_t",
        "offset": Field("int32_t", "the three zero points and the rounding half"),
        "shift": "int32_t",
        "minimum": "int32_t",
        "maximum": "int32_t",
    },
)
WIDE_ADD_SCALING = Parameters(
    "wide_add_scaling",
    {**ADD_SCALING.fields, "offset": "int64_t"},
    "The same where multipliers of 16 bits would be too coarse.",
)
CHANNEL_CONSTANTS = Parameters(
    "channel_constants",
    {"bias": Field("int32_t", "the input's zero point is folded in"), "multiplier": "int32_t"},
    "One output channel of a convolution.",
)
SHARED_RECORDS = (REQUANTISATION, ADD_SCALING, WIDE_ADD_SCALING, CHANNEL_CONSTANTS)
"""What the records of several operators are made of: every program declares them."""


@dataclass(frozen=True)
class ArrayShape:
    """A constant array of a layer: its element type in C, its bytes with padding."""

    name: str
    c_type: str
    size: int


@dataclass(frozen=True)
class LayerConstants:
    """What a layer adds to the kernel: its arrays, and the fields of its parameter record in C."""

    arrays: Mapping[str, NDArray[np.generic]]
    fields: Mapping[str, str]


def no_constants(integers: object) -> LayerConstants:
    """The `pack` of kernels that need neither arrays nor parameters."""
    return LayerConstants({}, {})


@dataclass(frozen=True)
class SharedCode:
    """C that several kernels call and that a program has once.

    The template is told what `context` makes of all the program's kernels. Code of low `order`
    stands first.
    """

    template: Path
    context: Callable[[Sequence["Kernel"]], Mapping[str, object]]
    order: int = _LAST


@dataclass(frozen=True)
class Candidate:
    """A kernel that could carry out an operator, and its modelled cycles."""

    variant: str
    cycles: int


@dataclass(frozen=True)
class Kernel:
    """A C function, and what it takes.

    `isa` is the instruction set that it is written for, `variant` what people call it, `cost_key`
    what its figures are filed under: kernels of one key are one piece of code but for the constants
    in it. `settings` are the constants of its `template`, `parameters` the record that a layer
    hands it, or None. `pack` makes a layer's constants of the operator's integers.

    `overwrites` are the inputs whose memory the output may take. Weights of two kernels lie in one
    order if their templates and `weight_order` are the same.

    `work` counts what the kernel does, for the latency model; `code` what it is made of beyond its
    key's, for the code size model. `shared_functions` and `helpers` are C functions beside its own:
    those that a program has once, and those for a few shapes, which some other kernels may call
    too; `shared_code` is where they come from. `parts` are kernels that it calls, and how often:
    work and code of theirs are not in its own. `candidates` are those that it was chosen from,
    itself first; empty where there was no choice, or no figures to go by.
    """

    cost_key: str
    function: str
    template: Path
    settings: Mapping[str, object]
    isa: Isa = "portable"
    variant: str = "portable"
    parameters: Parameters | None = None
    arrays: tuple[ArrayShape, ...] = ()
    pack: Callable[[Any], LayerConstants] = no_constants
    scratch_bytes: int = 0
    overwrites: tuple[int, ...] = ()
    weight_order: tuple[object, ...] = ()
    work: Mapping[str, int] = field(default_factory=dict)
    code: Mapping[str, int] = field(default_factory=dict)
    shared_functions: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ()
    shared_code: tuple[SharedCode, ...] = ()
    parts: tuple[tuple["Kernel", int], ...] = ()
    candidates: tuple[Candidate, ...] = ()

    @property
    def with_parts(self) -> tuple["Kernel", ...]:
        """The kernels that it calls, then the kernel itself."""
        return (*(part for part, _ in self.parts), self)

    def unit_name(self, unit: str) -> str:
        """What a unit of `work` or `code` is called among those of all kernels.

        One with a slash is done by code that kernels share, and costs the same in each.
        """
        return unit if "/" in unit else f"{self.cost_key}/{unit}"

    @property
    def parameters_type(self) -> str | None:
        """The C type of the record that a layer hands it."""
        return self.parameters.name if self.parameters else None

    @property
    def weight_bytes(self) -> int:
        """Flash that the layer's arrays take."""
        return sum(array.size for array in self.arrays)


def cost_key(code: str, **options: object) -> str:
    """The key of `code` with the options that are on.

    Options make code of one template that has little in common. What they add to code that
    otherwise stays as it is are units of work and of code.
    """
    return "-".join([code, *(name for name, is_on in options.items() if is_on)])


def aligned(size: int) -> int:
    """`size` rounded up to the alignment of constant arrays."""
    return -(-size // ARRAY_ALIGNMENT) * ARRAY_ALIGNMENT


# Work that all kernels share: copying bytes, and reading constants from flash.

_WORD_BYTES = 4
_BLOCK_BYTES = 16  # that memcpy moves at a time
# Up to here a compiler moves bytes itself instead of calling memcpy: clang, and GCC.
_INLINED = {"short": 16, "medium": 64}
# Distances up to which some board's data cache still holds what was read before, in bytes.
_REACHES = (128, 256, 4096, 8192, 16384, 32768)


def copies(times: int, size: int) -> dict[str, int]:
    """So many copies of `size` bytes, a constant of the code."""
    if not times:
        return {}
    words, rest = divmod(size, _WORD_BYTES)
    for name, most in _INLINED.items():
        if size <= most:
            return {
                f"copy/{name}": times,
                f"copy/{name}_words": times * words,
                f"copy/{name}_rest": times * rest.bit_count(),
            }
    if rest and times > 1:  # most do not start at whole words
        return {"copy/calls": times, "copy/words": times * (words + rest)}
    blocks, behind = divmod(size, _BLOCK_BYTES)
    return {
        "copy/calls": times,
        "copy/blocks": times * blocks,
        "copy/words": times * (behind // _WORD_BYTES + rest),
    }


def copy_code(size: int, calls: int = 1) -> dict[str, int]:
    """Code of so many copies of a constant size, by name of figure."""
    words, rest = divmod(size, _WORD_BYTES)
    for name, most in _INLINED.items():
        if size <= most:
            moves = words + rest.bit_count()
            return {f"copy/{name}": calls, f"copy/{name}_words": calls * moves}
    return {"copy/calls": calls}


def flash_reads(size: int, times: int, passes: int = 1, part: int = 0) -> dict[str, int]:
    """Bytes of constants read: all `size` of them `times` times over, each `part` in `passes`.

    The first time none is in a cache. What is read again costs wait states where more has been
    read in between than the cache holds, so that figures are by how much that is.
    """
    work = Counter({"flash/first": size})
    if times > 1:
        work[f"flash/again_{_reach(size)}"] += (times - 1) * size
    if passes > 1:
        work[f"flash/again_{_reach(part)}"] += times * (passes - 1) * size
    return dict(work)


def _reach(distance: int) -> str:
    return next((str(reach) for reach in _REACHES if distance <= reach), "far")
