#include "caches.h"
#include "clock.h"
#include "port.h"
#include "stm32.h"
#include "usart.h"

const char port_board_name[] = BOARD_NAME;

uint32_t port_start(void) {
#if defined(BOARD_HAS_CACHES)
    caches_enable();
#endif
    uint32_t core_hz = clock_start();
    usart_start(core_hz);
    return core_hz;
}
