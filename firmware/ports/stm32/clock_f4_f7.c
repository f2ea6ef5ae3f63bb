/* The clock tree of STM32F4 and STM32F7 (RM0090, chapter 7; RM0385, chapter 5). */
#include "clock.h"
#include "stm32.h"

#define INTERNAL_HZ 16000000u
/* The PLL's input must be 1 to 2 MHz, its oscillator 100 to 432 MHz (RM0090, section 7.3.2);
 * at 1 MHz every whole megahertz can be reached from every usual crystal. */
#define PLL_INPUT_HZ 1000000u
#define PLL_OUTPUT_DIVIDER (BOARD_CORE_HZ >= 50000000u ? 2u : 4u)
#define PLL_OSCILLATOR_HZ (BOARD_CORE_HZ * PLL_OUTPUT_DIVIDER)
#define PLL_MULTIPLIER (PLL_OSCILLATOR_HZ / PLL_INPUT_HZ)
/* The 48 MHz output is not used: the largest divider. */
#define PLL_USB_DIVIDER 15u

#if BOARD_CORE_HZ % PLL_INPUT_HZ != 0 || BOARD_OSCILLATOR_HZ % PLL_INPUT_HZ != 0
#error "core clock and oscillator must be in whole megahertz"
#endif
#if PLL_OSCILLATOR_HZ < 100000000u || PLL_OSCILLATOR_HZ > 432000000u
#error "the PLL does not reach this core clock"
#endif

/* Polls at the 16 MHz after reset. A poll takes about ten cycles; a crystal may need some
 * milliseconds (STM32F407 datasheet, DS8626, table of HSE characteristics), all else less than
 * half of one. */
#define CRYSTAL_POLLS 160000u
#define POLLS 8000u

static bool start_internal_oscillator(void) {
    RCC_CR |= RCC_CR_HSION;
    return wait_for(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY, POLLS);
}

static bool switch_core_to(uint32_t source, uint32_t bus_dividers) {
    RCC_CFGR = source | bus_dividers;
    return wait_for(&RCC_CFGR, CFGR_SWITCH_MASK << CFGR_STATUS_SHIFT,
                    source << CFGR_STATUS_SHIFT, POLLS);
}

static bool stop_pll(void) {
    RCC_CR &= ~RCC_CR_PLLON;
    return wait_for(&RCC_CR, RCC_CR_PLLRDY, 0, POLLS);
}

/* Returns whether the PLL can use the external oscillator; the internal one is there anyway. */
static bool start_external_oscillator(void) {
#if defined(BOARD_OSCILLATOR_IS_INTERNAL)
    return false;
#else
#if defined(BOARD_OSCILLATOR_IS_SIGNAL)
    RCC_CR |= RCC_CR_HSEBYP;
#endif
    RCC_CR |= RCC_CR_HSEON;
    return wait_for(&RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY, CRYSTAL_POLLS);
#endif
}

static bool start_pll(bool from_external) {
    uint32_t source_hz = from_external ? BOARD_OSCILLATOR_HZ : INTERNAL_HZ;
    RCC_PLLCFGR = (RCC_PLLCFGR & PLLCFGR_RESERVED) | source_hz / PLL_INPUT_HZ |
                  PLL_MULTIPLIER << PLLCFGR_N_SHIFT |
                  (PLL_OUTPUT_DIVIDER / 2u - 1u) << PLLCFGR_P_SHIFT |
                  (from_external ? PLLCFGR_SOURCE_HSE : 0u) | PLL_USB_DIVIDER << PLLCFGR_Q_SHIFT;
    RCC_CR |= RCC_CR_PLLON;
    return wait_for(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY, POLLS);
}

static void raise_core_voltage(void) {
    RCC_APB1ENR |= APB1ENR_PWREN;
    (void)RCC_APB1ENR;
    PWR_CR |= PWR_CR_VOS_SCALE_1;
}

/* Returns whether the core may run at BOARD_CORE_HZ (RM0090, section 5.1.4: "Entering
 * Over-drive mode"; the PLL runs already). */
static bool enter_over_drive(void) {
#if BOARD_CORE_HZ > OVER_DRIVE_ABOVE_HZ
    PWR_CR |= PWR_CR_OVER_DRIVE;
    if (!wait_for(&PWR_CSR, PWR_CSR_OVER_DRIVE_READY, PWR_CSR_OVER_DRIVE_READY, POLLS)) {
        return false;
    }
    PWR_CR |= PWR_CR_OVER_DRIVE_SWITCH;
    return wait_for(&PWR_CSR, PWR_CSR_OVER_DRIVE_SWITCHED, PWR_CSR_OVER_DRIVE_SWITCHED,
                    POLLS);
#else
    return true;
#endif
}

static bool set_flash_wait_states(void) {
    FLASH_ACR = FLASH_ACCELERATION | BOARD_FLASH_WAIT_STATES;
    return wait_for(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, BOARD_FLASH_WAIT_STATES, POLLS);
}

uint32_t clock_start(void) {
    const uint32_t bus_dividers = CFGR_APB1_DIVIDE_BY_4 | CFGR_APB2_DIVIDE_BY_2;
    /* A boot loader may have left the PLL running: back to the state after reset first. */
    if (!start_internal_oscillator() || !switch_core_to(CFGR_SWITCH_HSI, bus_dividers) ||
        !stop_pll()) {
        return INTERNAL_HZ;
    }
    raise_core_voltage();
    if (!start_pll(start_external_oscillator()) || !enter_over_drive() ||
        !set_flash_wait_states() || !switch_core_to(CFGR_SWITCH_PLL, bus_dividers)) {
        return INTERNAL_HZ;
    }
    return BOARD_CORE_HZ;
}
