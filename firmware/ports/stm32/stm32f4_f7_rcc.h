/* Clock, power and bus registers that STM32F4 and STM32F7 have in common
 * (RM0090, sections 5.4, 7.3; RM0385, sections 4.4, 5.3). */
#ifndef AUTOMCU_STM32F4_F7_RCC_H
#define AUTOMCU_STM32F4_F7_RCC_H

#define RCC_CR REGISTER(0x40023800u)
#define RCC_CR_HSION (1u << 0)
#define RCC_CR_HSIRDY (1u << 1)
#define RCC_CR_HSEON (1u << 16)
#define RCC_CR_HSERDY (1u << 17)
#define RCC_CR_HSEBYP (1u << 18)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define RCC_PLLCFGR REGISTER(0x40023804u)
#define PLLCFGR_N_SHIFT 6u
#define PLLCFGR_P_SHIFT 16u
#define PLLCFGR_SOURCE_HSE (1u << 22)
#define PLLCFGR_Q_SHIFT 24u
#define PLLCFGR_RESERVED 0xF0000000u /* keeps its reset value; PLLR on some parts */
#define RCC_CFGR REGISTER(0x40023808u)
#define CFGR_SWITCH_MASK 0x3u
#define CFGR_SWITCH_HSI 0x0u
#define CFGR_SWITCH_PLL 0x2u
#define CFGR_STATUS_SHIFT 2u
#define CFGR_APB1_DIVIDE_BY_4 (5u << 10)
#define CFGR_APB2_DIVIDE_BY_2 (4u << 13)
#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_APB1ENR REGISTER(0x40023840u)
#define APB1ENR_PWREN (1u << 28)
#define RCC_APB2ENR REGISTER(0x40023844u)

/* PWR_CR and PWR_CSR; PWR_CR1 and PWR_CSR1 on the F7 */
#define PWR_CR REGISTER(0x40007000u)
/* Bit 14 makes scale 1 of what each part has after reset: 01 of 0x on the F405/407, where bit 15
 * is reserved, 11 of 10 on the F411, and it is already 11 on the others. */
#define PWR_CR_VOS_SCALE_1 (1u << 14)
#define PWR_CR_OVER_DRIVE (1u << 16)
#define PWR_CR_OVER_DRIVE_SWITCH (1u << 17)
#define PWR_CSR REGISTER(0x40007004u)
#define PWR_CSR_OVER_DRIVE_READY (1u << 16)
#define PWR_CSR_OVER_DRIVE_SWITCHED (1u << 17)

#define FLASH_ACR REGISTER(0x40023C00u)
#define FLASH_ACR_LATENCY_MASK 0xFu

#define GPIO_BASE 0x40020000u
#define GPIO_CLOCK_ENABLE RCC_AHB1ENR

/* Dividers that keep both buses within their limits at every core clock of these families
 * (APB1 a quarter and APB2 half of it: 54 and 108 MHz at 216 MHz). */
#define APB1_DIVIDER 4u
#define APB2_DIVIDER 2u

/* Where each USART gets its clock (RM0090, sections 7.3.13 and 7.3.14) */
#define USART1_CLOCK_ENABLE RCC_APB2ENR
#define USART1_CLOCK_BIT (1u << 4)
#define USART1_BUS_DIVIDER APB2_DIVIDER
#define USART2_CLOCK_ENABLE RCC_APB1ENR
#define USART2_CLOCK_BIT (1u << 17)
#define USART2_BUS_DIVIDER APB1_DIVIDER
#define USART3_CLOCK_ENABLE RCC_APB1ENR
#define USART3_CLOCK_BIT (1u << 18)
#define USART3_BUS_DIVIDER APB1_DIVIDER
#define USART6_CLOCK_ENABLE RCC_APB2ENR
#define USART6_CLOCK_BIT (1u << 5)
#define USART6_BUS_DIVIDER APB2_DIVIDER

#endif
