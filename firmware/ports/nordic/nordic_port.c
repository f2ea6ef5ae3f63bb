/* The firmware's part for nRF52 and nRF53: clock, cache, and the debug port left open. */
#include <stdint.h>

#include "nordic.h"
#include "port.h"
#include "start.h"
#include "uarte.h"

/* The crystal starts within a millisecond (CLOCK chapter, electrical specification). */
#define CRYSTAL_POLLS 100000u

const char port_board_name[] = BOARD_NAME;

/* The core's clock does not depend on it: without the crystal, the internal oscillator goes on. */
static void start_crystal(void) {
    CLOCK_CRYSTAL_STARTED = NO_EVENT;
    CLOCK_START_CRYSTAL = START_TASK;
    for (uint32_t i = 0; i < CRYSTAL_POLLS && CLOCK_CRYSTAL_STARTED == NO_EVENT; ++i) {
    }
}

/* A debug port that was not opened by both UICR and firmware is shut at every reset, and could
 * then be had back only by erasing everything. */
static void keep_debug_port(void) {
    DEBUG_PORT_OPEN = DEBUG_PORT_WANTED;
#if defined(DEBUG_PORT_OPEN_SECURE)
    DEBUG_PORT_OPEN_SECURE = DEBUG_PORT_WANTED_SECURE;
#endif
}

uint32_t port_start(void) {
    keep_debug_port();
    CACHE_ENABLE = CACHE_ON;
#if defined(CLOCK_DIVIDER)
    CLOCK_DIVIDER = CLOCK_DIVIDER_NONE;
#endif
    start_crystal();
    uarte_start();
    return BOARD_CORE_HZ;
}

/* There is no boot loader in ROM: firmware is written through the debug port. */
void port_enter_boot_loader(void) {
    system_reset();
}

void start_boot_loader_if_asked(void) {
}
