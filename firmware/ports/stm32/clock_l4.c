/* The clock tree of the STM32L4+ (RM0432, RCC chapter), from the internal 16 MHz oscillator. */
#include "clock.h"
#include "stm32.h"

#define AFTER_RESET_HZ 4000000u /* the multi-speed oscillator, MSI */
#define INTERNAL_HZ 16000000u   /* HSI16 */
#define PLL_INPUT_DIVIDER 4u
#define PLL_INPUT_HZ (INTERNAL_HZ / PLL_INPUT_DIVIDER)
#define PLL_OUTPUT_DIVIDER 2u
#define PLL_OSCILLATOR_HZ (BOARD_CORE_HZ * PLL_OUTPUT_DIVIDER)
#define PLL_MULTIPLIER (PLL_OSCILLATOR_HZ / PLL_INPUT_HZ)
#define RANGE_1_NORMAL_HZ 80000000u /* above, the regulator must be in boost mode */

#if PLL_OSCILLATOR_HZ % PLL_INPUT_HZ != 0 || PLL_OSCILLATOR_HZ < 64000000u || \
    PLL_OSCILLATOR_HZ > 344000000u
#error "the PLL does not reach this core clock"
#endif
#if !defined(BOARD_OSCILLATOR_IS_INTERNAL)
#error "only the internal oscillator is supported on this family"
#endif

/* Polls of about ten cycles, at 4 or 16 MHz; nothing here takes longer than a millisecond. */
#define POLLS 8000u
#define SETTLE_READS 16u /* more than a microsecond at the full clock */

static bool start_internal_oscillator(void) {
    RCC_CR |= RCC_CR_HSION;
    return wait_for(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY, POLLS);
}

static bool switch_core_to(uint32_t source, uint32_t divider) {
    RCC_CFGR = source | divider;
    return wait_for(&RCC_CFGR, CFGR_SWITCH_MASK << CFGR_STATUS_SHIFT, source << CFGR_STATUS_SHIFT,
                    POLLS);
}

static bool stop_pll(void) {
    RCC_CR &= ~RCC_CR_PLLON;
    return wait_for(&RCC_CR, RCC_CR_PLLRDY, 0, POLLS);
}

static bool start_pll(void) {
    RCC_PLLCFGR = PLLCFGR_SOURCE_HSI | (PLL_INPUT_DIVIDER - 1u) << PLLCFGR_M_SHIFT |
                  PLL_MULTIPLIER << PLLCFGR_N_SHIFT | PLLCFGR_R_ENABLE;
    RCC_CR |= RCC_CR_PLLON;
    return wait_for(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY, POLLS);
}

static bool raise_core_voltage(void) {
    if (BOARD_CORE_HZ > RANGE_1_NORMAL_HZ) {
        PWR_CR5 &= ~PWR_CR5_NO_BOOST;
    }
    return wait_for(&PWR_SR2, PWR_SR2_VOLTAGE_CHANGING, 0, POLLS);
}

/* Port G from pin 2 on has a supply of its own, cut off until it is declared valid. */
static void connect_second_io_supply(void) {
    RCC_APB1ENR1 |= APB1ENR1_PWREN;
    (void)RCC_APB1ENR1;
    PWR_CR2 |= PWR_CR2_VDDIO2_VALID;
}

static bool set_flash_wait_states(void) {
    FLASH_ACR = FLASH_ACCELERATION | BOARD_FLASH_WAIT_STATES;
    return wait_for(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, BOARD_FLASH_WAIT_STATES, POLLS);
}

/* Past 80 MHz the clock must go up in two steps, a microsecond apart (RM0432, PWR chapter,
 * dynamic voltage scaling). */
static bool switch_core_to_pll(void) {
    if (!switch_core_to(CFGR_SWITCH_PLL, CFGR_AHB_DIVIDE_BY_2)) {
        return false;
    }
    for (uint32_t i = 0; i < SETTLE_READS; ++i) {
        (void)RCC_CFGR;
    }
    return switch_core_to(CFGR_SWITCH_PLL, 0);
}

uint32_t clock_start(void) {
    connect_second_io_supply();
    if (!start_internal_oscillator() || !switch_core_to(CFGR_SWITCH_HSI, 0)) {
        return AFTER_RESET_HZ;
    }
    /* A boot loader may have left the PLL running. */
    if (!stop_pll() || !raise_core_voltage() || !start_pll() || !set_flash_wait_states() ||
        !switch_core_to_pll()) {
        return INTERNAL_HZ;
    }
    return BOARD_CORE_HZ;
}
