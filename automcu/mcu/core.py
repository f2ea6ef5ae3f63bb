"""Cores: how code is compiled for one, which kernels it runs, and what executes and times it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from automcu.errors import WrongInputError
from automcu.mcu.profile import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """One core.

    `gcc` are the programs that compile for it, the preferred one first, and the flags that each
    needs; `zig` the flags of zig's compiler, None where it has no such target. `install` is the
    next step where there is no compiler. `kernel_sets` are the folders of kernels in
    `compiler/isa` that it can run, each with the instructions that a part must have for them
    (None: every part has them). `timing_rules` is a module of `boards/timing`. `unicorn` is the
    core's name in Unicorn, and `qemu` that of the nearest core in qemu-system-xtensa; None where
    it is not emulated by that. `cpuid` and `cache_size` are its registers CPUID and CCSIDR;
    `issue_width` is how many instructions start in a cycle at most.
    """

    name: str
    title: str
    gcc: Mapping[str, tuple[str, ...]]
    zig: tuple[str, ...] | None = None
    install: str
    kernel_sets: Mapping[str, str | None]
    issue_width: int = 1
    timing_rules: str
    unicorn: str | None = None
    qemu: str | None = None
    cpuid: int = 0
    cache_size: int | None = None

    @property
    def has_caches(self) -> bool:
        """Whether there are caches between the core and its memories."""
        return self.cache_size is not None


_GCC_ARM = "arm-none-eabi-gcc"
_INSTALL_ARM = (
    "Install it (Debian and Ubuntu: apt-get install gcc-arm-none-eabi), or unset AUTOMCU_COMPILER."
)
_GCC_FLAGS = ("-mthumb", "-mfloat-abi=hard", "-fno-tree-loop-distribute-patterns")
# zig cc compiles for debugging with the undefined-behaviour sanitiser unless told otherwise.
_ZIG_FLAGS = ("-target", "thumb-freestanding-eabihf", "-g0", "-fno-sanitize=undefined")
_XTENSA_FLAGS = (
    "-mlongcalls",
    "-mtext-section-literals",
    "-fno-tree-loop-distribute-patterns",
)

# Single precision throughout: no kernel uses double, and it is what all parts of a core have.
CORTEX_M4 = Core(
    name="cortex-m4",
    title="Cortex-M4",
    gcc={_GCC_ARM: ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", *_GCC_FLAGS)},
    zig=(*_ZIG_FLAGS, "-mcpu=cortex_m4"),
    install=_INSTALL_ARM,
    kernel_sets={"armv7e-m": "dsp"},
    timing_rules="cortex_m4",
    unicorn="CORTEX_M4",
    cpuid=0x410F_C241,
)
CORTEX_M7 = Core(
    name="cortex-m7",
    title="Cortex-M7",
    gcc={_GCC_ARM: ("-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16", *_GCC_FLAGS)},
    zig=(*_ZIG_FLAGS, "-mcpu=cortex_m7-fp_armv8d16"),
    install=_INSTALL_ARM,
    kernel_sets={"armv7e-m": "dsp"},
    issue_width=2,
    timing_rules="cortex_m7",
    unicorn="CORTEX_M7",
    cpuid=0x411F_C272,
    # 4 KiB of data cache: four ways of 32 sets (Cortex-M7 TRM, DDI 0489, section 4.3.5)
    cache_size=0xF003_E019,
)
CORTEX_M33 = Core(
    name="cortex-m33",
    title="Cortex-M33",
    gcc={_GCC_ARM: ("-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16", *_GCC_FLAGS)},
    zig=(*_ZIG_FLAGS, "-mcpu=cortex_m33+dsp"),
    install=_INSTALL_ARM,
    kernel_sets={"armv7e-m": "dsp"},
    # Zero-wait nRF5340 (Cortex-M33) latencies came out within 5 % with the Cortex-M4's rules.
    timing_rules="cortex_m4",
    unicorn="CORTEX_M33",
    cpuid=0x410F_D214,
)
# Espressif's compiler, or Debian's for the LX106, whose call0 code is a subset of what an LX7 runs.
XTENSA_LX7 = Core(
    name="xtensa-lx7",
    title="Xtensa LX7",
    gcc={
        "xtensa-esp32s3-elf-gcc": ("-mabi=call0", *_XTENSA_FLAGS),
        "xtensa-lx106-elf-gcc": _XTENSA_FLAGS,
    },
    install="Install one (Debian and Ubuntu: apt-get install gcc-xtensa-lx106), or build the "
    "project with ESP-IDF.",
    kernel_sets={"xtensa-lx7": None},
    timing_rules="xtensa_lx7",
    qemu="lx106",
)

CORES: Mapping[str, Core] = MappingProxyType(
    {core.name: core for core in (CORTEX_M4, CORTEX_M7, CORTEX_M33, XTENSA_LX7)}
)


def core_named(name: str) -> Core:
    """The core of this name.

    Raises:
        WrongInputError: there is none.
    """
    if name not in CORES:
        raise WrongInputError(f"There is no core {name!r}. Choose one of: {', '.join(CORES)}.")
    return CORES[name]


def kernel_sets(device: Device) -> tuple[str, ...]:
    """The sets of kernels, beside the portable one, that run on a device's core as it is built."""
    needed = core_named(device.core).kernel_sets
    return tuple(
        name for name, feature in needed.items() if feature is None or feature in device.isa
    )
