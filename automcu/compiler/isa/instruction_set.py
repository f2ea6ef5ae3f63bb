"""The instruction sets that there are special kernels for, and the registration of those.

A new one is an entry here and a folder of kernels that register themselves.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from automcu.compiler.graph import Attributes
from automcu.compiler.kernel import Isa, Kernel
from automcu.compiler.tensor import Tensor
from automcu.mcu.core import Core

AttributesT = TypeVar("AttributesT", bound=Attributes)
Factory = Callable[[AttributesT, tuple[Tensor, ...], Tensor, Core], Iterable[Kernel]]

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, eq=False)
class InstructionSet:
    """Kernels that some cores can run (`mcu.core.Core` says which), and the C around them.

    `runs_on_pc` says whether they are C that any machine can run. `guard` is C that refuses other
    machines than those that the code is for; `headers` are what its kernels share.
    """

    name: Isa
    runs_on_pc: bool
    guard: Path
    headers: tuple[Path, ...] = ()
    _factories: dict[type, list[Factory[Any]]] = field(default_factory=dict)

    def register(
        self, kind: type[AttributesT]
    ) -> Callable[[Factory[AttributesT]], Factory[AttributesT]]:
        """Decorate a function that makes kernels of operators of this kind.

        They are those that can carry out the operator, the one that usually wins first; maybe none.
        """

        def registered(factory: Factory[AttributesT]) -> Factory[AttributesT]:
            self._factories.setdefault(kind, []).append(factory)
            return factory

        return registered

    def kernels(
        self, attributes: Attributes, inputs: tuple[Tensor, ...], output: Tensor, core: Core
    ) -> tuple[Kernel, ...]:
        """The kernels that can carry out an operator, the one that usually wins first."""
        return tuple(
            kernel
            for factory in self._factories.get(type(attributes), ())
            for kernel in factory(attributes, inputs, output, core)
        )


ARMV7E_M = InstructionSet(
    name="armv7e-m",
    runs_on_pc=False,
    guard=_FOLDER / "armv7e_m" / "guard.h",
    headers=(_FOLDER / "armv7e_m" / "armv7e_m.h", _FOLDER / "armv7e_m" / "block.h"),
)
XTENSA_LX7 = InstructionSet(
    name="xtensa-lx7",
    runs_on_pc=True,
    guard=_FOLDER / "xtensa_lx7" / "guard.h",
)
INSTRUCTION_SETS = (ARMV7E_M, XTENSA_LX7)
