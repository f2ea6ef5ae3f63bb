/* Registers of the Armv7-M and Armv8-M cores (Armv7-M Architecture Reference Manual, DDI 0403,
 * chapters B3 and C1). */
#ifndef AUTOMCU_CORTEX_M_H
#define AUTOMCU_CORTEX_M_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* System control block (DDI 0403, section B3.2) */
#define SCB_VTOR REGISTER(0xE000ED08u)
#define SCB_AIRCR REGISTER(0xE000ED0Cu)
#define AIRCR_VECTKEY 0x05FA0000u
#define AIRCR_SYSRESETREQ (1u << 2)
#define SCB_CCR REGISTER(0xE000ED14u)
#define CCR_DATA_CACHE (1u << 16)
#define CCR_INSTRUCTION_CACHE (1u << 17)
#define SCB_CCSIDR REGISTER(0xE000ED80u)
#define SCB_CSSELR REGISTER(0xE000ED84u)
#define SCB_CPACR REGISTER(0xE000ED88u)
#define CPACR_FPU_FULL_ACCESS (0xFu << 20)

/* Cache maintenance (DDI 0403, section B3.2.8) */
#define SCB_ICIALLU REGISTER(0xE000EF50u)
#define SCB_DCISW REGISTER(0xE000EF60u)
#define SCB_DCCMVAC REGISTER(0xE000EF68u)

/* Debug and trace (DDI 0403, sections C1.6 and C1.8) */
#define DEBUG_DEMCR REGISTER(0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CTRL_CYCCNTENA (1u << 0)
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define DWT_LAR REGISTER(0xE0001FB0u)
#define DWT_LAR_KEY 0xC5ACCE55u

static inline void data_barrier(void) {
    __asm volatile("dsb" ::: "memory");
}

static inline void instruction_barrier(void) {
    __asm volatile("isb" ::: "memory");
}

#define DOES_NOT_RETURN __attribute__((noreturn))

DOES_NOT_RETURN static inline void system_reset(void) {
    data_barrier();
    SCB_AIRCR = AIRCR_VECTKEY | AIRCR_SYSRESETREQ;
    for (;;) {
    }
}

#endif
