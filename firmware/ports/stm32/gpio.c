#include "gpio.h"

#include "stm32.h"

#define GPIO_REGISTER(port, offset) REGISTER(GPIO_BASE + 0x400u * (port) + (offset))
#define GPIO_MODER 0x00u
#define GPIO_PUPDR 0x0Cu
#define GPIO_AFRL 0x20u /* pins 0 to 7; pins 8 to 15 are in the next word */

#define MODE_ALTERNATE 2u
#define PULL_UP 1u
#define TWO_BITS 3u
#define FOUR_BITS 0xFu
#define PINS_PER_WORD 8u

static void set_field(volatile uint32_t *reg, uint32_t mask, uint32_t value, uint32_t shift) {
    *reg = (*reg & ~(mask << shift)) | value << shift;
}

void gpio_connect(uint32_t port, uint32_t pin, uint32_t alternate_function) {
    GPIO_CLOCK_ENABLE |= 1u << port;
    (void)GPIO_CLOCK_ENABLE; /* the clock runs two cycles after the write (ES0182) */
    uint32_t function_word = GPIO_AFRL + 4u * (pin / PINS_PER_WORD);
    set_field(&GPIO_REGISTER(port, function_word), FOUR_BITS, alternate_function,
              4u * (pin % PINS_PER_WORD));
    set_field(&GPIO_REGISTER(port, GPIO_PUPDR), TWO_BITS, PULL_UP, 2u * pin);
    set_field(&GPIO_REGISTER(port, GPIO_MODER), TWO_BITS, MODE_ALTERNATE, 2u * pin);
}
