#ifndef AUTOMCU_CLOCK_H
#define AUTOMCU_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Brings the core to BOARD_CORE_HZ, with the flash wait states that this needs. Every wait ends:
 * if an oscillator or the PLL does not start, the part stays on the clock that it had after
 * reset. Returns the core clock in hertz. */
uint32_t clock_start(void);

/* Reads a register until its bits in `mask` equal `value`, at most `polls` times. */
static inline bool wait_for(const volatile uint32_t *reg, uint32_t mask, uint32_t value,
                            uint32_t polls) {
    for (uint32_t i = 0; i < polls; ++i) {
        if ((*reg & mask) == value) {
            return true;
        }
    }
    return false;
}

#endif
