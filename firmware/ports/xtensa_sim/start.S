/* Start and end of a program on QEMU's "sim" machine, which offers the simulator calls of Xtensa's
 * instruction set simulator: a2 = 1 ends with the code in a3.
 *
 * QEMU's lx106 lacks the LX7's high product and division. Where code uses one (with a8 and a9 as
 * operands and a8 as result, see xtensa_lx7.h), the exception of an illegal instruction ends up in
 * emulate() of emulation.c. Vectors: Xtensa Instruction Set Architecture Reference Manual. */

    .section .start, "ax"
    .global _start
    .align 4
    j begin
    .align 4
    .literal_position
    .align 4
_start:
begin:
    movi a2, vectors
    wsr.vecbase a2
    movi a2, 0x2f           /* PS: user vectors, interrupts masked, as in the S3's own start */
    wsr.ps a2
    rsync
    movi a1, _stack_top
    call0 main
    mov a3, a2
    movi a2, 1
    simcall
stop:
    j stop

    .section .emulation, "ax"
    .align 256
vectors:
    .org vectors + 0x50     /* the user exception's */
    wsr.excsave1 a0
    j illegal
    .org vectors + 0x80
    .literal_position
    .align 4
illegal:
    movi a0, sim_registers
    s32i a1, a0, 4
    s32i a2, a0, 8
    s32i a3, a0, 12
    s32i a4, a0, 16
    s32i a5, a0, 20
    s32i a6, a0, 24
    s32i a7, a0, 28
    s32i a9, a0, 36
    s32i a10, a0, 40
    s32i a11, a0, 44
    rsr.epc1 a2
    addi a5, a2, 3
    wsr.epc1 a5
    l8ui a2, a2, 2
    mov a3, a8
    mov a4, a9
    rsr.sar a5
    s32i a5, a0, 48
    movi a1, sim_emulation_stack
    call0 emulate
    mov a8, a2
    movi a0, sim_registers
    l32i a5, a0, 48
    wsr.sar a5
    l32i a1, a0, 4
    l32i a2, a0, 8
    l32i a3, a0, 12
    l32i a4, a0, 16
    l32i a5, a0, 20
    l32i a6, a0, 24
    l32i a7, a0, 28
    l32i a9, a0, 36
    l32i a10, a0, 40
    l32i a11, a0, 44
    rsr.excsave1 a0
    rfe

    .section .bss
    .align 16
sim_registers:
    .space 64
    .space 256
sim_emulation_stack:
    .space 16
