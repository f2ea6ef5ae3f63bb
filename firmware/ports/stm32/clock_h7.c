/* The clock tree of the STM32H7 (RM0433 and RM0468, RCC and PWR chapters). */
#include "clock.h"
#include "stm32.h"

#define INTERNAL_HZ 64000000u
#define PLL_INPUT_HZ 2000000u
#define PLL_HIGHEST_HZ 960000000u
/* The STM32H723 reaches its highest clock only with the oscillator's own output. */
#define PLL_OUTPUT_DIVIDER (BOARD_CORE_HZ <= PLL_HIGHEST_HZ / 2u ? 2u : 1u)
#define PLL_OSCILLATOR_HZ (BOARD_CORE_HZ * PLL_OUTPUT_DIVIDER)
#define PLL_MULTIPLIER (PLL_OSCILLATOR_HZ / PLL_INPUT_HZ)
#define PLL_UNUSED_DIVIDER 2u

#if BOARD_CORE_HZ % PLL_INPUT_HZ != 0 || BOARD_OSCILLATOR_HZ % PLL_INPUT_HZ != 0
#error "core clock and oscillator must be multiples of 2 MHz"
#endif
#if PLL_OSCILLATOR_HZ < 192000000u || PLL_OSCILLATOR_HZ > PLL_HIGHEST_HZ
#error "the PLL does not reach this core clock"
#endif

/* Polls of about ten cycles at 64 MHz: a tenth of a second for a crystal, else some milliseconds. */
#define CRYSTAL_POLLS 640000u
#define POLLS 32000u

static bool start_internal_oscillator(void) {
    RCC_CR = (RCC_CR | RCC_CR_HSION) & ~RCC_CR_HSI_DIVIDER;
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

/* The supply must be written once before the voltage can be changed (RM0433, PWR_CR3). */
static bool choose_supply(void) {
    PWR_CR3 = (PWR_CR3 & ~PWR_CR3_SUPPLY_MASK) | PWR_CR3_LDO;
    return wait_for(&PWR_CSR1, PWR_CSR1_SUPPLY_READY, PWR_CSR1_SUPPLY_READY, POLLS);
}

static bool raise_core_voltage(void) {
    PWR_D3CR = (PWR_D3CR & ~PWR_D3CR_SCALE_MASK) | PWR_D3CR_HIGHEST_SCALE;
    if (!wait_for(&PWR_D3CR, PWR_D3CR_READY, PWR_D3CR_READY, POLLS)) {
        return false;
    }
#if defined(SYSCFG_PWRCR)
    RCC_APB4ENR |= APB4ENR_SYSCFGEN;
    (void)RCC_APB4ENR;
    SYSCFG_PWRCR |= SYSCFG_PWRCR_OVER_DRIVE;
#endif
    return wait_for(&PWR_D3CR, PWR_D3CR_READY, PWR_D3CR_READY, POLLS);
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

static void choose_pll_input(bool from_external) {
    uint32_t source_hz = from_external ? BOARD_OSCILLATOR_HZ : INTERNAL_HZ;
    uint32_t kept = RCC_PLLCKSELR &
                    ~(PLLCKSELR_SOURCE_MASK | PLLCKSELR_M1_MASK << PLLCKSELR_M1_SHIFT);
    RCC_PLLCKSELR = kept | (from_external ? PLLCKSELR_SOURCE_HSE : PLLCKSELR_SOURCE_HSI) |
                    (source_hz / PLL_INPUT_HZ) << PLLCKSELR_M1_SHIFT;
}

static bool start_pll(bool from_external) {
    choose_pll_input(from_external);
    RCC_PLLCFGR = (RCC_PLLCFGR & ~PLLCFGR_PLL1_MASK) | PLLCFGR_PLL1_INPUT_2_TO_4_MHZ |
                  PLLCFGR_PLL1_P_ENABLE;
    RCC_PLL1DIVR = (PLL_MULTIPLIER - 1u) | (PLL_OUTPUT_DIVIDER - 1u) << PLL1DIVR_P_SHIFT |
                   (PLL_UNUSED_DIVIDER - 1u) << PLL1DIVR_Q_SHIFT |
                   (PLL_UNUSED_DIVIDER - 1u) << PLL1DIVR_R_SHIFT;
    RCC_CR |= RCC_CR_PLLON;
    return wait_for(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY, POLLS);
}

static bool set_flash_wait_states(void) {
    FLASH_ACR = (FLASH_ACR & ~FLASH_ACR_LATENCY_MASK) | BOARD_FLASH_WAIT_STATES;
    return wait_for(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, BOARD_FLASH_WAIT_STATES, POLLS);
}

static void divide_buses(void) {
    RCC_D1CFGR = D1CFGR_AHB_DIVIDE_BY_2 | D1CFGR_APB3_DIVIDE_BY_2;
    RCC_D2CFGR = D2CFGR_APB1_DIVIDE_BY_2 | D2CFGR_APB2_DIVIDE_BY_2;
    RCC_D3CFGR = D3CFGR_APB4_DIVIDE_BY_2;
}

uint32_t clock_start(void) {
    /* A boot loader may have left the PLL running: back to the state after reset first. */
    if (!start_internal_oscillator() || !switch_core_to(CFGR_SWITCH_HSI) || !stop_pll()) {
        return INTERNAL_HZ;
    }
    divide_buses();
    if (!choose_supply() || !raise_core_voltage() || !start_pll(start_external_oscillator()) ||
        !set_flash_wait_states() || !switch_core_to(CFGR_SWITCH_PLL)) {
        return INTERNAL_HZ;
    }
    return BOARD_CORE_HZ;
}
