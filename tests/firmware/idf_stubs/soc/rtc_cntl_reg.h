#define RTC_CNTL_OPTION1_REG 0x6000812Cu
#define RTC_CNTL_FORCE_DOWNLOAD_BOOT (1u << 0)
#define REG_WRITE(address, value) (*(volatile uint32_t *)(uintptr_t)(address) = (value))
