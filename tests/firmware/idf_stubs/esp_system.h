#pragma once
#include <stdint.h>
typedef int esp_err_t;
void esp_restart(void) __attribute__((noreturn));
#define ESP_ERROR_CHECK(call) ((void)(call))
