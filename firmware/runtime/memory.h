/* The part of <string.h> that the firmware uses. Compilers emit calls to these for copies and
 * initialisers even in freestanding mode, so they must exist without a C library. */
#ifndef AUTOMCU_MEMORY_H
#define AUTOMCU_MEMORY_H

#include <stddef.h>

void *memcpy(void *restrict destination, const void *restrict source, size_t length);
void *memmove(void *destination, const void *source, size_t length);
void *memset(void *destination, int value, size_t length);

#endif
