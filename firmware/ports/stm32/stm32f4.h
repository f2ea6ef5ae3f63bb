/* STM32F4 registers (RM0090 for F405/407/42x/43x; RM0383 for F411 and RM0390 for F446 agree on
 * all that is used here). */
#ifndef AUTOMCU_STM32F4_H
#define AUTOMCU_STM32F4_H

#include "stm32f4_f7_rcc.h"

/* Flash interface (RM0090, section 3.9.1) */
#define FLASH_ACCELERATION (FLASH_ACR_PREFETCH | FLASH_ACR_ICACHE | FLASH_ACR_DCACHE)
#define FLASH_ACR_PREFETCH (1u << 8)
#define FLASH_ACR_ICACHE (1u << 9)
#define FLASH_ACR_DCACHE (1u << 10)

/* Above this the regulator needs over-drive (RM0090, section 5.1.4; RM0390, section 5.1.4) */
#define OVER_DRIVE_ABOVE_HZ 168000000u

/* System configuration controller (RM0090, section 9.2.1) */
#define SYSCFG_CLOCK_ENABLE RCC_APB2ENR
#define SYSCFG_CLOCK_BIT (1u << 14)
#define SYSCFG_MEMRMP REGISTER(0x40013800u)
#define MEMRMP_SYSTEM_FLASH 1u

#endif
