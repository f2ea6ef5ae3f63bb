/* High-water marks of stack and arena: paint, let the program run, see how far the paint is gone. */
#ifndef AUTOMCU_MEMORY_USE_H
#define AUTOMCU_MEMORY_USE_H

#include <stdint.h>

#include "port.h"

#define ARENA_PAINT 0xA5u
#define STACK_PAINT 0xC3C3C3C3u

/* Bytes of the stack in use at its deepest since reset; it grows down and start-up painted it. */
uint32_t stack_high_water(MemorySpan stack);

/* Paints the arena, runs the model once on an input of zeros, and returns one more than the
 * highest offset that was written. */
uint32_t arena_high_water(MemorySpan arena);

#endif
