/* Declarations as in ESP-IDF 5.1, for checking the port's syntax and types without ESP-IDF. */
#include <stdint.h>
uint32_t esp_cpu_get_cycle_count(void);
