#include "memory_use.h"

#include "memory.h"
#include "model.h"

uint32_t stack_high_water(MemorySpan stack) {
    const uint32_t *word = (const uint32_t *)(void *)stack.start;
    uint32_t untouched = 0;
    while (untouched < stack.bytes && *word == STACK_PAINT) {
        word += 1;
        untouched += (uint32_t)sizeof *word;
    }
    return stack.bytes - untouched;
}

uint32_t arena_high_water(MemorySpan arena) {
    memset(arena.start, (int)ARENA_PAINT, arena.bytes);
    memset(model_input(), 0, MODEL_INPUT_BYTES);
    model_run();
    uint32_t touched = arena.bytes;
    while (touched > 0 && arena.start[touched - 1u] == ARENA_PAINT) {
        touched -= 1;
    }
    return touched;
}
