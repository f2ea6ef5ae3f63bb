/* The core's own cycle counter (DDI 0403, section C1.8: the Data Watchpoint and Trace unit). */
#include "cortex_m.h"
#include "port.h"

static uint32_t count_at_start;

void cycle_counter_start(void) {
    DEBUG_DEMCR |= DEMCR_TRCENA;
    DWT_LAR = DWT_LAR_KEY; /* the Cortex-M7's counter is locked after reset; others ignore this */
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
    count_at_start = DWT_CYCCNT;
}

uint32_t cycle_counter_stop(void) {
    uint32_t cycles = DWT_CYCCNT - count_at_start;
    DWT_CTRL &= ~DWT_CTRL_CYCCNTENA;
    return cycles;
}
