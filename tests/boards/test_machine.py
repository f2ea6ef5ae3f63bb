import struct
from collections.abc import Callable

import pytest

from automcu.boards.virtual import registers
from automcu.boards.virtual.machine import Exit, ExitKind, Machine
from automcu.boards.virtual.memory import BoardMemory
from automcu.boards.virtual.serial_line import RecordingLine
from automcu.mcu import Device
from tests.boards.conftest import Builder
from tests.boards.python_accounting import new_python_accounting

DeviceOf = Callable[..., Device]
FLASH = 0x0800_0000
RAM = 0x2000_0000

# r8: DWT; r9: results. `counter` switches tracing and counting on.
PROLOGUE = """
    ldr r8, =0xE0001000
    ldr r9, =0x20000000
    ldr r0, =0xE000EDFC
    mov r1, #0x01000000
    str r1, [r0]
    mov r7, #1
"""
NO_WAITS = {"wait_states": 0, "line_bytes": 16, "instruction_lines": 0, "data_lines": 0}
FAMILIES = ("stm32f4", "stm32f7", "stm32l4", "stm32h7", "stm32u5")


def run(image: bytes, device: Device) -> tuple[Exit, list[int]]:
    """Run an image to its end; return that, and the first 16 words of RAM."""
    memory = BoardMemory(device)
    assert memory.write(FLASH, image)
    end = Machine(device, memory, RecordingLine()).run(FLASH)
    return end, list(struct.unpack("<16I", memory.read(RAM, 64) or b""))


def results(build: Builder, device: Device, source: str) -> list[int]:
    end, words = run(build.image(PROLOGUE + source + "\n bkpt #0\n .ltorg"), device)
    assert end.kind is ExitKind.BREAKPOINT, end
    return words


@pytest.fixture
def ideal(device_of: DeviceOf) -> Device:
    """A device whose flash never waits."""
    return device_of(flash_timing=NO_WAITS)


def test_the_counter_is_exact_to_the_instruction(build: Builder, ideal: Device) -> None:
    """Two reads in one basic block, with nop (1), sdiv (6), ldr (2), nop (1) between them."""
    words = results(
        build,
        ideal,
        """
        str r7, [r8]
        ldr r4, [r8, #4]
        nop
        sdiv r0, r7, r7
        ldr r1, [r9]
        nop
        ldr r5, [r8, #4]
        subs r6, r5, r4
        str r6, [r9]
        """,
    )
    assert words[0] == 2 + 1 + 6 + 2 + 1


def test_loops_and_calls_are_counted_with_their_branches(build: Builder, ideal: Device) -> None:
    """Per turn: subs 1, taken bne 1 + 2. Around: mov 1, reads 2; the last bne is not taken."""
    words = results(
        build,
        ideal,
        """
        str r7, [r8]
        ldr r4, [r8, #4]
        mov r0, #100
    1:  subs r0, #1
        bne 1b
        ldr r5, [r8, #4]
        bl function
        ldr r6, [r8, #4]
        subs r2, r5, r4
        subs r3, r6, r5
        stm r9, {r2, r3}
        b 2f
        .thumb_func
    function:
        bx lr
    2:  nop
        """,
    )
    assert words[0] == 2 + 1 + 99 * 4 + 2
    assert words[1] == 2 + 3 + 3


def test_the_counter_stands_still_while_it_is_off(build: Builder, ideal: Device) -> None:
    words = results(
        build,
        ideal,
        """
        mov r6, #0
        str r7, [r8]
        ldr r0, [r8, #4]
        str r6, [r8]
        ldr r1, [r8, #4]
        mov r5, #50
    1:  subs r5, #1
        bne 1b
        ldr r2, [r8, #4]
        str r7, [r8]
        nop
        ldr r3, [r8, #4]
        stm r9, {r0-r3}
        """,
    )
    start, stopped, later, again = words[:4]
    assert start == 1  # the store that started it
    assert stopped == later == 1 + 2 + 0  # one read; the store that stopped it is not counted
    assert again == stopped + 2  # store and nop


def test_counting_needs_tracing_as_well(build: Builder, ideal: Device) -> None:
    words = results(
        build,
        ideal,
        """
        ldr r0, =0xE000EDFC
        mov r1, #0
        str r1, [r0]
        str r7, [r8]
        nop
        ldr r4, [r8, #4]
        ldr r5, [r8]
        stm r9, {r4, r5}
        """,
    )
    assert words[0] == 0
    assert words[1] & 1 == 1


def test_the_counter_can_be_set(build: Builder, ideal: Device) -> None:
    words = results(
        build,
        ideal,
        """
        str r7, [r8]
        nop
        mvn r0, #4
        str r0, [r8, #4]
        nop
        ldr r1, [r8, #4]
        nop
        nop
        ldr r2, [r8, #4]
        stm r9, {r1, r2}
        """,
    )
    assert words[0] == 0xFFFF_FFFB + 2  # the store and a nop
    assert words[1] == (words[0] + 4) % 2**32 == 1  # it wraps round


def test_switching_inside_an_if_then_block_works(build: Builder, ideal: Device) -> None:
    words = results(
        build,
        ideal,
        """
        cmp r7, #1
        itttt eq
        moveq r0, #10
        streq r7, [r8]
        moveq r1, #20
        moveq r2, #30
        cmp r7, #2
        itt eq
        moveq r0, #99
        streq r8, [r8]
        b 1f
    1:  nop
        nop
        ldr r3, [r8, #4]
        stm r9, {r0-r3}
        """,
    )
    assert words[:3] == [10, 20, 30]
    assert 0 < words[3] < 20


def test_counting_flash_reads_in_if_then_blocks_does_not_change_what_is_computed(
    build: Builder, device: Device
) -> None:
    """Unicorn 2.1.4 corrupts the IT state after a memory hook: see accounting.c."""
    source = """
        mov r7, #1
        str r7, [r8]
        ldr r0, =constants
        mov r7, #100
        movs r2, #0
        movs r3, #0
    1:  cmp r7, #50
        itttt ge
        addge r2, #1
        ldrge r1, [r0]
        addge r3, #1
        addge r2, r1
        b 2f
    2:  cmp r7, #50
        itete lt
        ldrlt r1, [r0, #4]
        ldrge r1, [r0]
        addlt r3, #10
        addge r3, #1
        adds r2, r1
        cbz r7, 3f
        subs r7, #1
        b 1b
        .align 2
    constants: .word 1, 2
    3:  stm r9, {r2, r3}
    """
    expected = [51 * (1 + 1 + 1) + 50 * 2, 51 * 2 + 50 * 10]
    assert results(build, device, source)[:2] == expected


@pytest.mark.parametrize("variant", ["native", "python"])
def test_flash_wait_states_are_in_the_count(
    build: Builder, device: Device, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    """A literal that nothing has read costs two cycles and five wait states; then only the two."""
    if variant == "python":
        monkeypatch.setattr(registers, "new_accounting", new_python_accounting)
    words = results(
        build,
        device,
        """
        str r7, [r8]
        ldr r0, =constants
        b 1f
        .align 4
    1:  ldr r4, [r8, #4]
        nop
        ldr r1, [r0]
        nop
        ldr r5, [r8, #4]
        nop
        b 2f
        .align 4
    2:  ldr r4, [r8, #4]
        nop
        ldr r1, [r0, #4]
        nop
        ldr r6, [r8, #4]
        subs r6, r6, r4
        str r6, [r9]
        b 3f
        .align 4
    constants: .word 1, 2
    3:  nop
        """,
    )
    assert words[0] == 2 + 1 + 2 + 1


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_starts_its_clock_and_knows_its_core(
    build: Builder, device_of: DeviceOf, family: str
) -> None:
    clock, switch, shift = {
        "stm32f4": (0x4002_3800, 0x08, 2),
        "stm32f7": (0x4002_3800, 0x08, 2),
        "stm32l4": (0x4002_1000, 0x08, 2),
        "stm32h7": (0x5802_4400, 0x10, 3),
        "stm32u5": (0x4602_0C00, 0x1C, 2),
    }[family]
    device = device_of(family)
    words = results(
        build,
        device,
        f"""
        ldr r0, ={clock:#x}
        ldr r1, [r0]
        orr r1, #{1 << 16:#x}
        orr r1, #{1 << 24:#x}
        str r1, [r0]
        ldr r2, [r0]
        mov r1, #3
        str r1, [r0, #{switch:#x}]
        ldr r3, [r0, #{switch:#x}]
        ldr r4, =0xE000ED00
        ldr r4, [r4]
        ldr r5, =0x1234
        stm r9, {{r2-r5}}
        """,
    )
    assert words[0] & (1 << 17 | 1 << 25) == (1 << 17 | 1 << 25)  # HSERDY, PLLRDY
    assert words[1] == 3 | 3 << shift  # the switch and its status
    assert {0xC24: "cortex-m4", 0xC27: "cortex-m7", 0xD21: "cortex-m33"}[
        words[2] >> 4 & 0xFFF
    ] == device.core
    assert words[3] == 0x1234


@pytest.mark.parametrize("family", FAMILIES)
def test_floating_point_works_on_every_core(
    build: Builder, device_of: DeviceOf, family: str
) -> None:
    words = results(
        build,
        device_of(family),
        """
        vmov.f32 s0, #3.0
        vmov.f32 s1, #0.5
        vfma.f32 s0, s1, s1
        vmov r0, s0
        ldr r1, =0x00030002
        mov r2, #5
        smlad r1, r1, r1, r2
        stm r9, {r0, r1}
        """,
    )
    assert struct.unpack("<f", struct.pack("<I", words[0]))[0] == 3.25
    assert words[1] == 4 + 9 + 5


def test_the_system_timer_runs_down_and_sets_its_flag(build: Builder, device: Device) -> None:
    words = results(
        build,
        device,
        """
        ldr r0, =0xE000E010
        ldr r1, =999
        str r1, [r0, #4]
        str r1, [r0, #8]
        mov r1, #5
        str r1, [r0]
        ldr r2, [r0, #8]
        ldr r3, [r0, #8]
        mov r4, #0
    1:  adds r4, #1
        ldr r5, [r0]
        tst r5, #0x10000
        beq 1b
        ldr r5, [r0]
        stm r9, {r2-r5}
        """,
    )
    assert 999 >= words[0] > words[1] > 0
    assert 1 < words[2] < 1000
    assert words[3] & 1 << 16 == 0  # reading the flag clears it


FAULTS = {
    "an unmapped read": ("ldr r0, =0x60000000; nop; ldr r1, [r0]", "0x60000000"),
    "an unmapped write": ("ldr r0, =0x60000000; nop; str r1, [r0]", "0x60000000"),
    "a write to flash": ("ldr r0, =0x08000000; nop; str r1, [r0]", "0x08000000"),
    "a jump to nowhere": ("ldr r0, =0x60000001; bx r0", "0x60000000"),
    "an undefined instruction": ("udf #7", "Invalid instruction"),
    "a supervisor call": ("svc #1", "exception"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_end_the_program_and_say_where(build: Builder, device: Device, fault: str) -> None:
    source, expected = FAULTS[fault]
    end, _ = run(build.image(f"{source}\n .ltorg"), device)
    assert end.kind is ExitKind.FAULT
    assert expected in end.description
    assert "at 0x" in end.description


def test_erased_flash_faults_at_once(device: Device) -> None:
    end, _ = run(b"\xff" * 16, device)
    assert end.kind is ExitKind.FAULT


def test_a_reset_request_and_a_jump_to_rom_are_recognised(build: Builder, device: Device) -> None:
    reset = "ldr r0, =0xE000ED0C; ldr r1, =0x05FA0004; str r1, [r0]; b .; .ltorg"
    assert run(build.image(reset), device)[0].kind is ExitKind.RESET
    jump = "ldr r0, =0x1FFF0000; ldm r0, {r1, r2}; msr msp, r1; bx r2; .ltorg"
    assert run(build.image(jump), device)[0].kind is ExitKind.BOOT_LOADER


@pytest.mark.parametrize("family", FAMILIES)
def test_the_usart_sends_only_when_it_is_on(
    build: Builder, device_of: DeviceOf, family: str
) -> None:
    old = family == "stm32f4"
    status, transmit, control = (0x00, 0x04, 0x0C) if old else (0x1C, 0x28, 0x00)
    enable = 1 << 13 | 1 << 3 if old else 1 | 1 << 3
    device = device_of(family)
    image = build.image(
        f"""
        ldr r0, =0x40011000
        mov r1, #'x'
        str r1, [r0, #{transmit}]
        ldr r2, ={enable}
        str r2, [r0, #{control}]
    1:  ldr r2, [r0, #{status}]
        tst r2, #0x80
        beq 1b
        mov r1, #'y'
        str r1, [r0, #{transmit}]
        bkpt #0
        """
    )
    memory = BoardMemory(device)
    memory.write(FLASH, image)
    line = RecordingLine()
    Machine(device, memory, line).run(FLASH)
    assert bytes(line.sent) == b"y"
