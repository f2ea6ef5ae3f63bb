/* Registers of Nordic's nRF52 and nRF53 (application core, secure aliases).
 *
 * nRF52840 Product Specification and nRF5340 Product Specification; chapters are named below.
 * The peripherals here have the same registers in both, at other addresses. */
#ifndef AUTOMCU_NORDIC_H
#define AUTOMCU_NORDIC_H

#include "board.h"
#include "cortex_m.h"

#if defined(BOARD_FAMILY_NRF53)
/* Memory map; PIN_CNF and the like start at a port's base. */
#define CLOCK_BASE 0x50005000u
#define GPIO_BASE 0x50842500u
/* CACHE chapter: ENABLE */
#define CACHE_ENABLE REGISTER(0x50001500u)
/* CLOCK chapter: HFCLKCTRL. The core runs at 64 MHz after reset. */
#define CLOCK_DIVIDER REGISTER(CLOCK_BASE + 0x558u)
#define CLOCK_DIVIDER_NONE 0u
/* CTRL-AP chapter: what start-up code copies from UICR, so that an open debug port stays open */
#define DEBUG_PORT_OPEN REGISTER(0x50006544u)
#define DEBUG_PORT_OPEN_SECURE REGISTER(0x5000654Cu)
#define DEBUG_PORT_WANTED REGISTER(0x00FF8000u)
#define DEBUG_PORT_WANTED_SECURE REGISTER(0x00FF801Cu)
#elif defined(BOARD_FAMILY_NRF52)
#define CLOCK_BASE 0x40000000u
#define GPIO_BASE 0x50000500u
/* NVMC chapter: ICACHECNF */
#define CACHE_ENABLE REGISTER(0x4001E540u)
/* Debug chapter, access port protection: newer revisions want it opened by the firmware, too */
#define DEBUG_PORT_OPEN REGISTER(0x40000558u)
#define DEBUG_PORT_WANTED REGISTER(0x10001208u)
#else
#error "no register definitions for this family"
#endif

#define CACHE_ON 1u

/* CLOCK chapter: the crystal, without which the serial line's rate is off by percents */
#define CLOCK_START_CRYSTAL REGISTER(CLOCK_BASE + 0x000u)
#define CLOCK_CRYSTAL_STARTED REGISTER(CLOCK_BASE + 0x100u)

/* GPIO chapter */
#define GPIO_PORT_BYTES 0x300u
#define GPIO_REGISTER(port, offset) REGISTER(GPIO_BASE + (port) * GPIO_PORT_BYTES + (offset))
#define GPIO_SET_HIGH(port) GPIO_REGISTER(port, 0x008u)
#define GPIO_SET_OUTPUT(port) GPIO_REGISTER(port, 0x018u)
#define GPIO_CONFIGURE(port, pin) GPIO_REGISTER(port, 0x200u + 4u * (pin))
#define GPIO_INPUT 0u /* direction in, buffer connected, no pull */

/* UARTE chapter */
#define UARTE_REGISTER(offset) REGISTER(BOARD_UARTE_BASE + (offset))
#define UARTE_START_RECEIVING UARTE_REGISTER(0x000u)
#define UARTE_START_SENDING UARTE_REGISTER(0x008u)
#define UARTE_RECEIVED UARTE_REGISTER(0x110u)
#define UARTE_SENT UARTE_REGISTER(0x120u)
#define UARTE_ENABLE UARTE_REGISTER(0x500u)
#define UARTE_TRANSMIT_PIN UARTE_REGISTER(0x50Cu)
#define UARTE_RECEIVE_PIN UARTE_REGISTER(0x514u)
#define UARTE_BAUD UARTE_REGISTER(0x524u)
#define UARTE_RECEIVE_POINTER UARTE_REGISTER(0x534u)
#define UARTE_RECEIVE_COUNT UARTE_REGISTER(0x538u)
#define UARTE_SEND_POINTER UARTE_REGISTER(0x544u)
#define UARTE_SEND_COUNT UARTE_REGISTER(0x548u)
#define UARTE_CONFIGURATION UARTE_REGISTER(0x56Cu)
#define UARTE_IS_OFF 0u
#define UARTE_IS_ON 8u
#define UARTE_8N1 0u
#define UARTE_PIN(port, pin) ((port) << 5 | (pin))

#define START_TASK 1u
#define NO_EVENT 0u

#endif
