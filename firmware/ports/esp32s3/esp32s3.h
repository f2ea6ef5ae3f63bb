/* Registers of the ESP32-S3 that the firmware uses: Technical Reference Manual (v1.4), chapters
 * "UART Controller", "System Timer", "Watchdog Timers" and "Low-power Management". */
#ifndef AUTOMCU_ESP32S3_H
#define AUTOMCU_ESP32S3_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

#define UART_FIFO 0x00u
#define UART_STATUS 0x1Cu
#define UART_RECEIVED_MASK 0x3FFu
#define UART_TRANSMIT_SHIFT 16u
#define UART_FIFO_FULL_ENOUGH 100u /* of 128 bytes */

#define RTC_OPTIONS_0 0x60008000u
#define SOFTWARE_SYSTEM_RESET (1u << 31)
#define RTC_WATCHDOG_CONFIG 0x60008098u
#define RTC_WATCHDOG_PROTECT 0x600080B0u
#define SUPER_WATCHDOG_CONFIG 0x600080B4u
#define SUPER_WATCHDOG_PROTECT 0x600080B8u
#define RTC_OPTION_1 0x6000812Cu
#define FORCE_DOWNLOAD_BOOT (1u << 0)
#define WATCHDOG_KEY 0x50D83AA1u
#define SUPER_WATCHDOG_KEY 0x8F1D312Au
#define SUPER_WATCHDOG_FEEDS_ITSELF (1u << 31)

#define TIMER_GROUP_0 0x6001F000u
#define TIMER_GROUP_1 0x60020000u
#define TIMER_WATCHDOG_CONFIG 0x48u
#define TIMER_WATCHDOG_PROTECT 0x64u

#define SYSTEM_TIMER_UPDATE 0x60023004u
#define SYSTEM_TIMER_ASK (1u << 30)
#define SYSTEM_TIMER_VALID (1u << 29)
#define SYSTEM_TIMER_LOW 0x60023044u
#define SYSTEM_TIMER_HZ 16000000u
#define SYSTEM_TIMER_LOOKS 100000u /* a bounded wait: more than a millisecond at any clock */

#define CLOCK_HZ_AFTER_ROM 40000000u /* the crystal's, where it cannot be measured */
#define MEASUREMENTS_PER_SECOND 1000u
#define ROUND_TO_HZ 1000000u

#endif
