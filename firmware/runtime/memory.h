/* The part of <string.h> that the firmware uses. Compilers emit calls to these for copies and
 * initialisers even in freestanding mode, so they must exist without a C library, and stay where
 * link-time optimisation has not yet made those calls. */
#ifndef AUTOMCU_MEMORY_H
#define AUTOMCU_MEMORY_H

#include <stddef.h>

#define CALLED_BY_COMPILERS __attribute__((used))

CALLED_BY_COMPILERS
void *memcpy(void *restrict destination, const void *restrict source, size_t length);
CALLED_BY_COMPILERS void *memmove(void *destination, const void *source, size_t length);
CALLED_BY_COMPILERS void *memset(void *destination, int value, size_t length);

#endif
