/* Nordic's UART, which moves bytes to and from RAM by itself: here one at a time. Between two of
 * them the receiver keeps what arrives in a short queue of its own. */
#include "uarte.h"

#include <stdint.h>

#include "nordic.h"
#include "port.h"

static volatile uint8_t received;
static volatile uint8_t sent;

static void receive_next(void) {
    UARTE_RECEIVED = NO_EVENT;
    UARTE_START_RECEIVING = START_TASK;
}

void uarte_start(void) {
    GPIO_SET_HIGH(BOARD_TRANSMIT_PORT) = 1u << BOARD_TRANSMIT_PIN;
    GPIO_SET_OUTPUT(BOARD_TRANSMIT_PORT) = 1u << BOARD_TRANSMIT_PIN;
    GPIO_CONFIGURE(BOARD_RECEIVE_PORT, BOARD_RECEIVE_PIN) = GPIO_INPUT;
    UARTE_ENABLE = UARTE_IS_OFF;
    UARTE_TRANSMIT_PIN = UARTE_PIN(BOARD_TRANSMIT_PORT, BOARD_TRANSMIT_PIN);
    UARTE_RECEIVE_PIN = UARTE_PIN(BOARD_RECEIVE_PORT, BOARD_RECEIVE_PIN);
    UARTE_BAUD = BOARD_UARTE_BAUD;
    UARTE_CONFIGURATION = UARTE_8N1;
    UARTE_ENABLE = UARTE_IS_ON;
    UARTE_RECEIVE_POINTER = (uint32_t)(uintptr_t)&received;
    UARTE_RECEIVE_COUNT = 1;
    UARTE_SEND_POINTER = (uint32_t)(uintptr_t)&sent;
    UARTE_SEND_COUNT = 1;
    receive_next();
}

uint8_t port_read(void) {
    while (UARTE_RECEIVED == NO_EVENT) {
    }
    uint8_t byte = received;
    receive_next();
    return byte;
}

void port_write(uint8_t byte) {
    sent = byte;
    UARTE_SENT = NO_EVENT;
    UARTE_START_SENDING = START_TASK;
    while (UARTE_SENT == NO_EVENT) {
    }
}
