/* Start and end of a program on QEMU's "sim" machine, which offers the simulator calls of Xtensa's
 * instruction set simulator: a2 = 1 ends with the code in a3. */

    .section .start, "ax"
    .global _start
    .align 4
    j begin
    .align 4
    .literal_position
    .align 4
_start:
begin:
    movi a1, _stack_top
    call0 main
    mov a3, a2
    movi a2, 1
    simcall
