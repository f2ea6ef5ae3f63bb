/* STM32F7 registers (RM0385 for F745/746/750/756). */
#ifndef AUTOMCU_STM32F7_H
#define AUTOMCU_STM32F7_H

#include "stm32f4_f7_rcc.h"

/* Flash interface (RM0385, section 3.7.1). The accelerator works for fetches over the ITCM bus
 * (0x00200000) only; this firmware is linked to the AXI alias at 0x08000000, behind the caches,
 * where prefetch and accelerator do nothing. They are on for code that uses the other alias. */
#define FLASH_ACCELERATION (FLASH_ACR_PREFETCH | FLASH_ACR_ACCELERATOR)
#define FLASH_ACR_PREFETCH (1u << 8)
#define FLASH_ACR_ACCELERATOR (1u << 9)

/* Above this the regulator needs over-drive (RM0385, section 4.1.4) */
#define OVER_DRIVE_ABOVE_HZ 180000000u

#endif
