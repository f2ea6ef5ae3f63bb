"""A second opinion on the virtual board: QEMU runs the same ELF file, and its bytes and its number
of instructions are compared. QEMU's time is instructions (icount), which SysTick shows.
"""

import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from automcu.boards.virtual.machine import count_cycles
from automcu.mcu import find_device
from automcu.toolchains import find_compiler
from benchmarks.small_project import small_project

QEMU = shutil.which("qemu-system-arm")
pytestmark = pytest.mark.skipif(QEMU is None, reason="qemu-system-arm is not installed")

DEVICE = find_device("stm32f407g-disc1")  # QEMU's netduinoplus2 has an STM32F405
ICOUNT_SHIFT = 6  # an instruction takes 2^6 ns, and SysTick counts at 168 MHz
TICKS_PER_INSTRUCTION = 2**ICOUNT_SHIFT * 0.168
MAIN = """
#include <stdint.h>

#include "golden.h"
#include "model.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define USART1 0x40011000u
#define SYSTICK 0xE000E010u
#define CPACR REGISTER(0xE000ED88u)

void start(void);
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t stack;
    void (*start)(void);
} vectors = {0x20020000u, start};

void *memcpy(void *restrict to, const void *restrict from, unsigned length) {
    for (unsigned i = 0; i < length; ++i) {
        ((char *)to)[i] = ((const char *)from)[i];
    }
    return to;
}

void *memset(void *to, int value, unsigned length) {
    for (unsigned i = 0; i < length; ++i) {
        ((char *)to)[i] = (char)value;
    }
    return to;
}

static void send(uint32_t byte) {
    while ((REGISTER(USART1) & 0x80u) == 0) {
    }
    REGISTER(USART1 + 4u) = byte & 0xFFu;
}

void start(void) {
    CPACR |= 0xF00000u;
    REGISTER(USART1 + 0xCu) = 0x2008u;
    REGISTER(SYSTICK + 4u) = 0xFFFFFFu;
    REGISTER(SYSTICK + 8u) = 0;
    REGISTER(SYSTICK) = 5u;
    uint32_t before = REGISTER(SYSTICK + 8u);
    model_run();
    uint32_t ticks = (before - REGISTER(SYSTICK + 8u)) & 0xFFFFFFu;
    for (uint32_t shift = 0; shift < 32u; shift += 8u) {
        send(ticks >> shift);
    }
    for (uint32_t i = 0; i < GOLDEN_COUNT; ++i) {
        memcpy(model_input(), golden_inputs + i * MODEL_INPUT_BYTES, MODEL_INPUT_BYTES);
        model_run();
        for (uint32_t j = 0; j < MODEL_OUTPUT_BYTES; ++j) {
            send((uint32_t)model_output()[j]);
        }
    }
    for (;;) {
    }
}
"""
SCRIPT = """
MEMORY {
  FLASH (rx): ORIGIN = 0x08000000, LENGTH = 1M
  RAM (rwx): ORIGIN = 0x20000000, LENGTH = 128K
}
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > FLASH
  .data (NOLOAD) : { *(.data*) *(.bss*) *(COMMON) } > RAM
  /DISCARD/ : { *(.ARM.*) }
}
"""


def linked(project: Path, inputs: np.ndarray) -> Path:
    """The project's model with a main() of the test's, on the compiler's usual flags."""
    numbers = ",".join(map(str, inputs.reshape(-1).tolist()))
    (project / "golden.h").write_text(
        f"#define GOLDEN_COUNT {len(inputs)}u\nstatic const int8_t golden_inputs[] = {{{numbers}}};"
    )
    (project / "main.c").write_text(MAIN)
    (project / "script.ld").write_text(SCRIPT)
    compiler = find_compiler(DEVICE.core)
    command = [*compiler.command, *compiler.compile_flags, "-nostdlib", "-Imodel", "-I."]
    command += ["-Wl,-T,script.ld", "-Wl,--entry=start", "main.c"]
    command += [str(path) for path in sorted((project / "model").glob("*.c"))]
    subprocess.run([*command, "-o", "program.elf"], check=True, cwd=project)
    return project / "program.elf"


def sent_in_qemu(elf: Path, expected_bytes: int) -> bytes:
    output = elf.with_suffix(".out")
    machine = subprocess.Popen(
        [
            *(str(QEMU), "-M", "netduinoplus2", "-icount", f"shift={ICOUNT_SHIFT}"),
            *("-display", "none", "-monitor", "none", "-serial", f"file:{output}"),
            *("-kernel", str(elf)),
        ]
    )
    try:
        deadline = time.monotonic() + 60
        while not output.exists() or output.stat().st_size < expected_bytes:
            assert time.monotonic() < deadline, "QEMU sent too little"
            time.sleep(0.1)
    finally:
        machine.kill()
        machine.wait()
    return output.read_bytes()


def test_qemu_sends_the_reference_s_bytes_in_as_many_instructions(tmp_path: Path) -> None:
    project = small_project(tmp_path / "project", DEVICE)
    with np.load(project / "golden.npz") as golden:
        inputs, outputs = golden["inputs"], golden["outputs"]
    elf = linked(project, inputs)
    sent = sent_in_qemu(elf, 4 + outputs.size)
    assert sent[4:] == outputs.tobytes()
    in_qemu = int.from_bytes(sent[:4], "little") / TICKS_PER_INSTRUCTION
    counted = count_cycles(elf, DEVICE, entry="model_run").instructions
    assert in_qemu == pytest.approx(counted, rel=0.001)
