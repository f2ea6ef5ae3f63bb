/* The firmware as a program on the developer's machine: the serial line is standard input and
 * output, a "cycle" is a nanosecond. */
#define _POSIX_C_SOURCE 199309L

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "model.h"
#include "port.h"

#define NANOSECONDS_PER_SECOND 1000000000u

const char port_board_name[] = "host";

/* Not every model shows its arena to other files. */
extern int8_t model_arena[] __attribute__((weak));

static bool answer_pending;
static uint32_t count_at_start;

uint32_t port_start(void) {
    return NANOSECONDS_PER_SECOND;
}

uint8_t port_read(void) {
    if (answer_pending) {
        fflush(stdout);
        answer_pending = false;
    }
    int byte = getchar();
    if (byte == EOF) {
        exit(EXIT_SUCCESS);
    }
    return (uint8_t)byte;
}

void port_write(uint8_t byte) {
    putchar(byte);
    answer_pending = true;
}

void port_enter_boot_loader(void) {
    exit(EXIT_SUCCESS);
}

/* The operating system's stack is neither bounded here nor painted. */
MemorySpan port_stack(void) {
    MemorySpan none = {NULL, 0};
    return none;
}

MemorySpan port_arena(void) {
    MemorySpan arena = {(uint8_t *)model_arena, model_arena == NULL ? 0u : MODEL_ARENA_BYTES};
    return arena;
}

uint32_t port_image_bytes(void) {
    return 0;
}

static uint32_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)now.tv_sec * NANOSECONDS_PER_SECOND + (uint32_t)now.tv_nsec;
}

void cycle_counter_start(void) {
    count_at_start = nanoseconds();
}

uint32_t cycle_counter_stop(void) {
    return nanoseconds() - count_at_start;
}
