/* What this board's STM32 family looks like to the port. */
#ifndef AUTOMCU_STM32_H
#define AUTOMCU_STM32_H

#include "board.h"
#include "cortex_m.h"

#if defined(BOARD_FAMILY_STM32F4)
#include "stm32f4.h"
#elif defined(BOARD_FAMILY_STM32F7)
#include "stm32f7.h"
#elif defined(BOARD_FAMILY_STM32L4)
#include "stm32l4.h"
#elif defined(BOARD_FAMILY_STM32H7)
#include "stm32h7.h"
#elif defined(BOARD_FAMILY_STM32U5)
#include "stm32u5.h"
#else
#error "no register definitions for this family: add them beside stm32f4.h"
#endif

#endif
