/* The pins of the serial line. GPIO registers are the same in every family since the STM32F2
 * (RM0090, section 8.4). */
#ifndef AUTOMCU_GPIO_H
#define AUTOMCU_GPIO_H

#include <stdint.h>

/* Connects a pin (port 0 is A) to an alternate function, pulled up so that an open line idles. */
void gpio_connect(uint32_t port, uint32_t pin, uint32_t alternate_function);

#endif
