/* Entry of an ESP32-S3 image that the mask ROM has copied to RAM and jumps to, with the call0 ABI
 * (Xtensa Instruction Set Architecture Reference Manual, section 8.1). */

    .section .start, "ax"
    .global reset_handler
    .align 4
    j begin
    .align 4
    .literal_position
    .align 4
reset_handler:
begin:
    movi a2, 0x2f           /* PS: no register windows, user vectors, interrupts masked */
    wsr.ps a2
    rsync
    movi a1, __stack_top
    movi a2, __bss_start
    movi a3, __bss_end
    movi a4, 0
clear:
    bgeu a2, a3, paint
    s32i a4, a2, 0
    addi a2, a2, 4
    j clear
paint:
    movi a2, __stack_limit
    movi a4, 0xC3C3C3C3     /* STACK_PAINT of memory_use.h; a1 is the top, nothing is on it yet */
paint_word:
    bgeu a2, a1, start
    s32i a4, a2, 0
    addi a2, a2, 4
    j paint_word
start:
    call0 main
stop:
    j stop
