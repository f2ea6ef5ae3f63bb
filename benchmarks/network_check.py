"""Several networks in one program that holds their outputs against the reference's, byte for byte.

The program runs as machine code of a Cortex-M on the virtual board's processor, without a serial
line; on this machine; or as Xtensa code in QEMU.
"""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.boards.virtual.machine import count_cycles
from automcu.compiler import Program, render_model
from automcu.errors import BoardError
from automcu.mcu import Device
from automcu.records import resource_folder
from automcu.toolchains import Compiler, find_compiler
from automcu.toolchains.compiler import HostCompiler, run_tool

MOST_NETWORKS = 32  # in one program: one bit of its answer each
_VALUES_PER_LINE = 40
_LIBRARY = ("runtime/memory.c", "ports/cortex_m/aeabi_memory.c")
_XTENSA_SOURCES = (
    "ports/xtensa_sim/start.S",
    "ports/xtensa_sim/emulation.c",
    "ports/esp32s3/compiler_support.c",
    "runtime/memory.c",
)
_TIMEOUT_S = 300.0

_LINKER_SCRIPT = """\
ENTRY(check)
MEMORY {{
    FLASH (rx) : ORIGIN = {flash.address:#x}, LENGTH = {flash.size}
    RAM (rw) : ORIGIN = {ram.address:#x}, LENGTH = {ram.size}
}}
SECTIONS {{
    .text : {{ *(.text .text.* .rodata .rodata.*) }} > FLASH
    .bss (NOLOAD) : {{ *(.data .data.* .bss .bss.*) }} > RAM
    /DISCARD/ : {{ *(.ARM.exidx .ARM.exidx.* .ARM.extab .ARM.extab.*) }}
}}
"""

_CHECK = """\
#include <stdint.h>

{includes}

typedef struct {{
    int8_t *(*input)(void);
    void (*run)(void);
    const int8_t *(*output)(void);
    int8_t *arena;
    uint32_t arena_bytes;
    const int8_t *inputs;
    uint32_t input_bytes;
    const int8_t *outputs;
    uint32_t output_bytes;
}} network;

{arrays}

static const network networks[] = {{
{networks}
}};

static uint32_t differs(const network *tested)
{{
    uint32_t different = 0;
    for (uint32_t round = 0; round < {inputs}; round++) {{
        for (uint32_t index = 0; index < tested->arena_bytes; index++) {{
            tested->arena[index] = 0x5A; /* nothing that was there before may matter */
        }}
        for (uint32_t index = 0; index < tested->input_bytes; index++) {{
            tested->input()[index] = tested->inputs[round * tested->input_bytes + index];
        }}
        tested->run();
        for (uint32_t index = 0; index < tested->output_bytes; index++) {{
            const int8_t expected = tested->outputs[round * tested->output_bytes + index];
            different |= tested->output()[index] != expected;
        }}
    }}
    return different;
}}

uint32_t check(void);

/* Bit n is set where network n computes something else than the reference. */
uint32_t check(void)
{{
    uint32_t answer = 0;
    for (uint32_t index = 0; index < sizeof networks / sizeof networks[0]; index++) {{
        answer |= differs(&networks[index]) << index;
    }}
    return answer;
}}
"""

_HOST_MAIN = """
#include <stdio.h>

int main(void)
{
    printf("%lu\\n", (unsigned long)check());
    return 0;
}
"""

_XTENSA_MAIN = """
#include "sim.h"

static void simulator_call(int function, int first, const void *second, uint32_t third)
{
    register int a2 __asm__("a2") = function;
    register int a3 __asm__("a3") = first;
    register const void *a4 __asm__("a4") = second;
    register uint32_t a5 __asm__("a5") = third;
    __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
}

void sim_stop(int code)
{
    simulator_call(1, code, 0, 0);
}

int main(void)
{
    const uint32_t answer = check();
    simulator_call(4, 1, &answer, sizeof answer);
    return 0;
}
"""


@dataclass(frozen=True)
class Network:
    """A program under its own name in C, inputs int8 [n, ...], and outputs that they must give."""

    name: str
    program: Program
    inputs: NDArray[np.int8]
    outputs: NDArray[np.int8]


def unchanged(source: str) -> str:
    """The C as it was generated."""
    return source


def differing_on_board(
    networks: Sequence[Network],
    device: Device,
    folder: Path,
    compiler: Compiler | None = None,
    flags: tuple[str, ...] = (),
    edit: Callable[[str], str] = unchanged,
) -> list[str]:
    """Names of the networks whose outputs differ, as machine code of a Cortex-M.

    `flags` come after the compiler's own: "-O3" wins over its -O2. `edit` changes generated files.

    Raises:
        ToolError, ToolFailedError: the program does not build.
        BoardError: it faults, or does not end.
    """
    compiler = compiler or find_compiler(device.core)
    firmware = resource_folder("firmware")
    flash = next(region for region in device.memory if region.kind == "flash")
    script, elf = folder / "check.ld", folder / "check.elf"
    sources = _write(networks, folder, "", edit)
    script.write_text(_LINKER_SCRIPT.format(flash=flash, ram=device.region_for("arena")))
    command = [
        *compiler.command,
        *compiler.compile_flags,
        "-Werror",
        *flags,
        "-nostdlib",
        f"-Wl,-T,{script}",
        "-Wl,--entry=check",
        *(f"-I{firmware / path}" for path in ("runtime", "ports/cortex_m")),
        *map(str, sources),
        *(str(firmware / path) for path in _LIBRARY),
        *("-o", str(elf)),
    ]
    run_tool(command, folder, compiler.environment)
    return _names(networks, count_cycles(elf, device, "check", timeout_s=_TIMEOUT_S).result)


def differing_on_host(
    networks: Sequence[Network],
    compiler: HostCompiler,
    folder: Path,
    flags: tuple[str, ...] = ("-Werror",),
) -> list[str]:
    """Names of the networks whose outputs differ on this machine."""
    program = compiler.program(
        _write(networks, folder, _HOST_MAIN), folder / "check", [folder], flags
    )
    answer = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    return _names(networks, int(answer.stdout))


def differing_on_xtensa(networks: Sequence[Network], folder: Path) -> list[str]:
    """Names of the networks whose outputs differ, as Xtensa code in QEMU."""
    compiler = find_compiler("xtensa-lx7")
    firmware = resource_folder("firmware")
    elf = folder / "check.elf"
    command = [
        *compiler.command,
        *compiler.compile_flags,
        *(f"-I{firmware / path}" for path in ("runtime", "ports/xtensa_sim")),
        *("-nostdlib", f"-Wl,-T,{firmware / 'ports/xtensa_sim/sim.ld'}"),
        *map(str, _write(networks, folder, _XTENSA_MAIN)),
        *(str(firmware / path) for path in _XTENSA_SOURCES),
        *("-o", str(elf)),
    ]
    run_tool(command, folder, compiler.environment)
    machine = ("qemu-system-xtensa", "-M", "sim", "-cpu", "lx106", "-semihosting")
    quiet = ("-display", "none", "-monitor", "none", "-serial", "none")
    done = subprocess.run(
        [*machine, *quiet, "-kernel", str(elf)],
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode or len(done.stdout) != 4:
        raise BoardError(f"QEMU ended with code {done.returncode}: {done.stderr.decode()[:200]}.")
    return _names(networks, int.from_bytes(done.stdout, "little"))


def _names(networks: Sequence[Network], answer: int) -> list[str]:
    return [network.name for index, network in enumerate(networks) if answer >> index & 1]


def _write(
    networks: Sequence[Network],
    folder: Path,
    main: str,
    edit: Callable[[str], str] = unchanged,
) -> list[Path]:
    """Write all C files; returns those to compile."""
    if len(networks) > MOST_NETWORKS or len({len(network.inputs) for network in networks}) != 1:
        raise ValueError(f"{len(networks)} networks, or not equally many inputs for each")
    folder.mkdir(parents=True, exist_ok=True)
    sources = [folder / "check.c"]
    for network in networks:
        for name, text in render_model(network.program, network.name).items():
            (folder / name).write_text(edit(text))
        sources += [folder / f"{network.name}.c", folder / f"{network.name}_weights.c"]
    check = _CHECK.format(
        includes="\n".join(f'#include "{network.name}.h"' for network in networks),
        arrays="\n".join(line for network in networks for line in _arrays(network)),
        networks="\n".join(map(_entry, networks)),
        inputs=len(networks[0].inputs),
    )
    sources[0].write_text(check + main)
    return sources


def _arrays(network: Network) -> Iterator[str]:
    yield f"extern int8_t {network.name}_arena[{network.name.upper()}_ARENA_BYTES];"
    for what, values in (("inputs", network.inputs), ("outputs", network.outputs)):
        numbers = values.reshape(-1).tolist()
        yield f"static const int8_t {network.name}_{what}[] = {{"
        for first in range(0, len(numbers), _VALUES_PER_LINE):
            yield ", ".join(map(str, numbers[first : first + _VALUES_PER_LINE])) + ","
        yield "};"


def _entry(network: Network) -> str:
    name, macro = network.name, network.name.upper()
    functions = f"{name}_input, {name}_run, {name}_output"
    arena = f"{name}_arena, {macro}_ARENA_BYTES"
    values = f"{name}_inputs, {macro}_INPUT_BYTES, {name}_outputs, {macro}_OUTPUT_BYTES"
    return f"    {{{functions}, {arena}, {values}}},"
