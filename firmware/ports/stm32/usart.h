#ifndef AUTOMCU_USART_H
#define AUTOMCU_USART_H

#include <stdint.h>

/* Sets up the board's USART: 8 data bits, no parity, 1 stop bit, BOARD_BAUD_RATE. */
void usart_start(uint32_t core_hz);

/* Waits until the last byte has left the shift register. */
void usart_drain(void);

#endif
