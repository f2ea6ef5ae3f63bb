#include "usart.h"

#include "gpio.h"
#include "port.h"
#include "stm32.h"

#define USART_REGISTER(offset) REGISTER(BOARD_USART_BASE + (offset))

/* Two layouts: the STM32F4's (RM0090, section 30.6) and the newer one of all other families
 * here (RM0385, section 31.8; RM0432, USART and LPUART chapters). */
#if defined(BOARD_FAMILY_STM32F4)
#define USART_STATUS USART_REGISTER(0x00u)
#define USART_RECEIVED USART_REGISTER(0x04u)
#define USART_TRANSMIT USART_REGISTER(0x04u)
#define USART_BAUD USART_REGISTER(0x08u)
#define USART_CONTROL_1 USART_REGISTER(0x0Cu)
#define CONTROL_1_ENABLE (1u << 13)
#else
#define USART_CONTROL_1 USART_REGISTER(0x00u)
#define USART_CONTROL_3 USART_REGISTER(0x08u)
#define USART_BAUD USART_REGISTER(0x0Cu)
#define USART_STATUS USART_REGISTER(0x1Cu)
#define USART_RECEIVED USART_REGISTER(0x24u)
#define USART_TRANSMIT USART_REGISTER(0x28u)
#define CONTROL_1_ENABLE (1u << 0)
#define CONTROL_3_OVERRUN_DISABLE (1u << 12)
#endif

#define STATUS_RECEIVED (1u << 5)
#define STATUS_TRANSMISSION_COMPLETE (1u << 6)
#define STATUS_TRANSMIT_EMPTY (1u << 7)
#define CONTROL_1_RECEIVER (1u << 2)
#define CONTROL_1_TRANSMITTER (1u << 3)

/* The divider for `bus_hz`: an LPUART counts in 256ths of a bit (RM0432, LPUART_BRR). */
static uint32_t baud_divider(uint32_t bus_hz) {
#if defined(BOARD_USART_IS_LOW_POWER)
    uint32_t whole = bus_hz / BOARD_BAUD_RATE;
    uint32_t rest = bus_hz % BOARD_BAUD_RATE;
    return whole * 256u + (rest * 256u + BOARD_BAUD_RATE / 2u) / BOARD_BAUD_RATE;
#else
    return (bus_hz + BOARD_BAUD_RATE / 2u) / BOARD_BAUD_RATE;
#endif
}

void usart_start(uint32_t core_hz) {
    gpio_connect(BOARD_TRANSMIT_PORT, BOARD_TRANSMIT_PIN, BOARD_ALTERNATE_FUNCTION);
    gpio_connect(BOARD_RECEIVE_PORT, BOARD_RECEIVE_PIN, BOARD_ALTERNATE_FUNCTION);
    BOARD_USART_CLOCK_ENABLE |= BOARD_USART_CLOCK_BIT;
    (void)BOARD_USART_CLOCK_ENABLE;
    USART_CONTROL_1 = 0; /* a boot loader may have left it on, with parity */
    USART_BAUD = baud_divider(core_hz / BOARD_USART_BUS_DIVIDER);
#if defined(CONTROL_3_OVERRUN_DISABLE)
    /* A byte that came while the core was busy must not block those after it. */
    USART_CONTROL_3 = CONTROL_3_OVERRUN_DISABLE;
#endif
    USART_CONTROL_1 = CONTROL_1_ENABLE | CONTROL_1_RECEIVER | CONTROL_1_TRANSMITTER;
}

void usart_drain(void) {
    while ((USART_STATUS & STATUS_TRANSMISSION_COMPLETE) == 0) {
    }
}

uint8_t port_read(void) {
    while ((USART_STATUS & STATUS_RECEIVED) == 0) {
    }
    return (uint8_t)USART_RECEIVED;
}

void port_write(uint8_t byte) {
    while ((USART_STATUS & STATUS_TRANSMIT_EMPTY) == 0) {
    }
    USART_TRANSMIT = byte;
}
