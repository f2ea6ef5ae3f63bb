/* Into the ROM boot loader (AN2606). It expects the part as it is after reset, so the firmware
 * leaves a note in RAM, resets, and follows the note before it has touched anything. */
#include "cortex_m.h"
#include "port.h"
#include "start.h"
#include "stm32.h"
#include "usart.h"

#define BOOT_LOADER_ASKED 0xB007104Du

/* Kept over a reset, as the linker script keeps .noinit out of what start-up clears. */
__attribute__((section(".noinit"))) static volatile uint32_t note;

void port_enter_boot_loader(void) {
    usart_drain();
    note = BOOT_LOADER_ASKED;
#if defined(BOARD_HAS_CACHES)
    SCB_DCCMVAC = (uint32_t)(uintptr_t)&note; /* out of the data cache, which the reset empties */
#endif
    system_reset();
}

static void show_system_memory_at_zero(void) {
#if defined(SYSCFG_MEMRMP)
    SYSCFG_CLOCK_ENABLE |= SYSCFG_CLOCK_BIT;
    (void)SYSCFG_CLOCK_ENABLE;
    SYSCFG_MEMRMP = MEMRMP_SYSTEM_FLASH;
#endif
}

DOES_NOT_RETURN static void jump_through(uintptr_t vector_table) {
    const volatile uint32_t *table = (const volatile uint32_t *)vector_table;
    uint32_t stack = table[0];
    uint32_t entry = table[1];
    SCB_VTOR = (uint32_t)vector_table;
    __asm volatile("msr msp, %0\n\tbx %1" ::"r"(stack), "r"(entry));
    __builtin_unreachable();
}

void start_boot_loader_if_asked(void) {
    if (note != BOOT_LOADER_ASKED) {
        return;
    }
    note = 0;
    show_system_memory_at_zero();
    jump_through(BOARD_BOOT_LOADER_ADDRESS);
}
