/* The ESP32-S3's part of the firmware, without ESP-IDF: UART0, CCOUNT, and watchdogs off.
 *
 * Registers: ESP32-S3 Technical Reference Manual; chapters are named beside them. The mask ROM
 * leaves UART0 at 115,200 baud, 8N1, on the pins that the board's bridge is on. The clock is what
 * the ROM leaves: it is measured, not set. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board.h"
#include "esp32s3.h"
#include "model.h"
#include "port.h"

const char port_board_name[] = BOARD_NAME;

extern int8_t model_arena[];
extern uint8_t __stack_limit[];
extern uint8_t __stack_top[];
extern uint8_t __image_bytes[]; /* its address is the number */

static uint32_t count_at_start;

static uint32_t cycle_count(void) {
    uint32_t count;
    __asm volatile("rsr %0, ccount" : "=a"(count));
    return count;
}

static void stop_watchdogs(void) {
    REGISTER(RTC_WATCHDOG_PROTECT) = WATCHDOG_KEY;
    REGISTER(RTC_WATCHDOG_CONFIG) = 0;
    REGISTER(SUPER_WATCHDOG_PROTECT) = SUPER_WATCHDOG_KEY;
    REGISTER(SUPER_WATCHDOG_CONFIG) |= SUPER_WATCHDOG_FEEDS_ITSELF;
    REGISTER(TIMER_GROUP_0 + TIMER_WATCHDOG_PROTECT) = WATCHDOG_KEY;
    REGISTER(TIMER_GROUP_0 + TIMER_WATCHDOG_CONFIG) = 0;
    REGISTER(TIMER_GROUP_1 + TIMER_WATCHDOG_PROTECT) = WATCHDOG_KEY;
    REGISTER(TIMER_GROUP_1 + TIMER_WATCHDOG_CONFIG) = 0;
}

/* The system timer's count at 16 MHz; false when it gives none in time, as in emulators. */
static bool read_system_timer(uint32_t *count) {
    REGISTER(SYSTEM_TIMER_UPDATE) = SYSTEM_TIMER_ASK;
    for (uint32_t i = 0; i < SYSTEM_TIMER_LOOKS; ++i) {
        if ((REGISTER(SYSTEM_TIMER_UPDATE) & SYSTEM_TIMER_VALID) != 0) {
            *count = REGISTER(SYSTEM_TIMER_LOW);
            return true;
        }
    }
    return false;
}

/* Core cycles while the system timer, which runs from the crystal, counts a millisecond. */
static uint32_t measured_clock_hz(void) {
    uint32_t first = 0;
    uint32_t now = 0;
    if (!read_system_timer(&first)) {
        return CLOCK_HZ_AFTER_ROM;
    }
    uint32_t begin = cycle_count();
    for (uint32_t i = 0; i < SYSTEM_TIMER_LOOKS; ++i) {
        if (!read_system_timer(&now)) {
            return CLOCK_HZ_AFTER_ROM;
        }
        if (now - first >= SYSTEM_TIMER_HZ / MEASUREMENTS_PER_SECOND) {
            uint32_t cycles = cycle_count() - begin;
            return (cycles + ROUND_TO_HZ / MEASUREMENTS_PER_SECOND / 2u) * MEASUREMENTS_PER_SECOND /
                   ROUND_TO_HZ * ROUND_TO_HZ;
        }
    }
    return CLOCK_HZ_AFTER_ROM;
}

uint32_t port_start(void) {
    stop_watchdogs();
    return measured_clock_hz();
}

uint8_t port_read(void) {
    while ((REGISTER(BOARD_UART_BASE + UART_STATUS) & UART_RECEIVED_MASK) == 0) {
    }
    return (uint8_t)REGISTER(BOARD_UART_BASE + UART_FIFO);
}

static uint32_t bytes_to_transmit(void) {
    return REGISTER(BOARD_UART_BASE + UART_STATUS) >> UART_TRANSMIT_SHIFT & UART_RECEIVED_MASK;
}

void port_write(uint8_t byte) {
    while (bytes_to_transmit() > UART_FIFO_FULL_ENOUGH) {
    }
    REGISTER(BOARD_UART_BASE + UART_FIFO) = byte;
}

void port_enter_boot_loader(void) {
    while (bytes_to_transmit() != 0) {
    }
    REGISTER(RTC_OPTION_1) = FORCE_DOWNLOAD_BOOT;
    REGISTER(RTC_OPTIONS_0) |= SOFTWARE_SYSTEM_RESET;
    for (;;) {
    }
}

MemorySpan port_stack(void) {
    MemorySpan stack = {__stack_limit, (uint32_t)(__stack_top - __stack_limit)};
    return stack;
}

MemorySpan port_arena(void) {
    MemorySpan arena = {(uint8_t *)model_arena, MODEL_ARENA_BYTES};
    return arena;
}

uint32_t port_image_bytes(void) {
    return (uint32_t)(uintptr_t)__image_bytes;
}

void cycle_counter_start(void) {
    count_at_start = cycle_count();
}

uint32_t cycle_counter_stop(void) {
    return cycle_count() - count_at_start;
}
