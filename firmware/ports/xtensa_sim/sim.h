/* A network on QEMU's "sim" machine, where nothing but its kernels runs. */
#ifndef AUTOMCU_SIM_H
#define AUTOMCU_SIM_H

#include <stdint.h>

#define SIM_ILLEGAL 101 /* exit code: an instruction that neither QEMU nor emulation.c knows */

/* Code that stands for instructions of the LX7 and is not counted. */
#define SIM_EMULATION __attribute__((section(".emulation"), noinline))

SIM_EMULATION uint32_t emulate(uint32_t instruction, uint32_t first, uint32_t second);

/* A section of the run ends here: whoever counts instructions sees this function entered. */
void sim_marker(void);

/* Ends the program. */
void sim_stop(int code);

#endif
