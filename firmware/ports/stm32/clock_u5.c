/* The clock tree of the STM32U5 (RM0456, PWR and RCC chapters), from the internal 16 MHz oscillator. */
#include "clock.h"
#include "stm32.h"

#define AFTER_RESET_HZ 4000000u /* the multi-speed oscillator, MSIS */
#define INTERNAL_HZ 16000000u   /* HSI16 */
#define PLL_INPUT_DIVIDER 2u
#define PLL_INPUT_HZ (INTERNAL_HZ / PLL_INPUT_DIVIDER)
#define PLL_OUTPUT_DIVIDER 2u
#define PLL_OSCILLATOR_HZ (BOARD_CORE_HZ * PLL_OUTPUT_DIVIDER)
#define PLL_MULTIPLIER (PLL_OSCILLATOR_HZ / PLL_INPUT_HZ)
#define PLL_UNUSED_DIVIDER 2u

#if PLL_OSCILLATOR_HZ % PLL_INPUT_HZ != 0 || PLL_OSCILLATOR_HZ < 128000000u || \
    PLL_OSCILLATOR_HZ > 544000000u
#error "the PLL does not reach this core clock"
#endif
#if !defined(BOARD_OSCILLATOR_IS_INTERNAL)
#error "only the internal oscillator is supported on this family"
#endif

/* Polls of about ten cycles, at 4 or 16 MHz; nothing here takes longer than a millisecond. */
#define POLLS 8000u

static bool start_internal_oscillator(void) {
    RCC_CR |= RCC_CR_HSION;
    return wait_for(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY, POLLS);
}

static bool switch_core_to(uint32_t source) {
    RCC_CFGR = source;
    return wait_for(&RCC_CFGR, CFGR_SWITCH_MASK << CFGR_STATUS_SHIFT, source << CFGR_STATUS_SHIFT,
                    POLLS);
}

static bool stop_pll(void) {
    RCC_CR &= ~RCC_CR_PLLON;
    return wait_for(&RCC_CR, RCC_CR_PLLRDY, 0, POLLS);
}

/* Halves the supply current where the package has the converter; without it all works alike. */
static void choose_supply(void) {
#if defined(BOARD_HAS_STEP_DOWN)
    PWR_CR3 |= PWR_CR3_STEP_DOWN;
    (void)wait_for(&PWR_SVMSR, PWR_SVMSR_STEP_DOWN, PWR_SVMSR_STEP_DOWN, POLLS);
#endif
}

static bool raise_core_voltage(void) {
    RCC_AHB3ENR |= AHB3ENR_PWREN;
    (void)RCC_AHB3ENR;
    choose_supply();
    PWR_VOSR |= PWR_VOSR_RANGE_1;
    return wait_for(&PWR_VOSR, PWR_VOSR_READY, PWR_VOSR_READY, POLLS);
}

/* Above 55 MHz the regulator needs its booster, clocked from the PLL's source: on before the PLL. */
static bool start_booster(void) {
    PWR_VOSR |= PWR_VOSR_BOOSTER;
    return wait_for(&PWR_VOSR, PWR_VOSR_BOOSTER_READY, PWR_VOSR_BOOSTER_READY, POLLS);
}

static bool start_pll(void) {
    RCC_PLL1CFGR = PLL1CFGR_SOURCE_HSI | PLL1CFGR_INPUT_8_TO_16_MHZ |
                   (PLL_INPUT_DIVIDER - 1u) << PLL1CFGR_M_SHIFT | PLL1CFGR_BOOSTER_DIVIDE_BY_2 |
                   PLL1CFGR_R_ENABLE;
    RCC_PLL1DIVR = (PLL_MULTIPLIER - 1u) | (PLL_UNUSED_DIVIDER - 1u) << PLL1DIVR_P_SHIFT |
                   (PLL_UNUSED_DIVIDER - 1u) << PLL1DIVR_Q_SHIFT |
                   (PLL_OUTPUT_DIVIDER - 1u) << PLL1DIVR_R_SHIFT;
    if (!start_booster()) {
        return false;
    }
    RCC_CR |= RCC_CR_PLLON;
    return wait_for(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY, POLLS);
}

static bool set_flash_wait_states(void) {
    FLASH_ACR = FLASH_ACR_PREFETCH | BOARD_FLASH_WAIT_STATES;
    return wait_for(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, BOARD_FLASH_WAIT_STATES, POLLS);
}

/* It invalidates itself after reset and can be switched on once that is done. */
static void enable_instruction_cache(void) {
    if (wait_for(&ICACHE_SR, ICACHE_SR_BUSY, 0, POLLS)) {
        ICACHE_CR |= ICACHE_CR_ENABLE;
    }
}

uint32_t clock_start(void) {
    enable_instruction_cache();
    if (!start_internal_oscillator() || !switch_core_to(CFGR_SWITCH_HSI)) {
        return AFTER_RESET_HZ;
    }
    /* A boot loader may have left the PLL running. */
    if (!stop_pll() || !raise_core_voltage() || !start_pll() || !set_flash_wait_states() ||
        !switch_core_to(CFGR_SWITCH_PLL)) {
        return INTERNAL_HZ;
    }
    return BOARD_CORE_HZ;
}
