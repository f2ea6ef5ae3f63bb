/* The port of the firmware to ESP-IDF (5.1 or newer): "UART", "USB Serial/JTAG Controller" and
 * "System" in its API reference. */
#include <stddef.h>
#include <stdint.h>

#include "board.h"
#include "esp_cpu.h"
#include "esp_rom_sys.h"
#include "esp_system.h"
#include "freertos/FreeRTOS.h"
#include "model.h"
#include "port.h"
#include "sdkconfig.h"
#include "soc/rtc_cntl_reg.h"

#ifdef CONFIG_AUTOMCU_LINE_USB
#include "driver/usb_serial_jtag.h"
#else
#include "driver/uart.h"
#endif

#define BUFFER_BYTES 2048
#define HZ_PER_MHZ 1000000u
#define FRAME_END 0x00u

const char port_board_name[] = BOARD_NAME;

/* Not every model shows its arena to other files. */
extern int8_t model_arena[] __attribute__((weak));

int firmware_main(void);
void app_main(void);

/* Single bytes are dear with these drivers: a frame or a line of text goes out as a whole. */
static uint8_t to_send[BUFFER_BYTES];
static size_t bytes_to_send;
static uint32_t count_at_start;

static void open_line(void) {
#ifdef CONFIG_AUTOMCU_LINE_USB
    usb_serial_jtag_driver_config_t config = {
        .tx_buffer_size = BUFFER_BYTES,
        .rx_buffer_size = BUFFER_BYTES,
    };
    ESP_ERROR_CHECK(usb_serial_jtag_driver_install(&config));
#else
    uart_config_t config = {
        .baud_rate = (int)BOARD_BAUD_RATE,
        .data_bits = UART_DATA_8_BITS,
        .parity = UART_PARITY_DISABLE,
        .stop_bits = UART_STOP_BITS_1,
        .flow_ctrl = UART_HW_FLOWCTRL_DISABLE,
        .source_clk = UART_SCLK_DEFAULT,
    };
    ESP_ERROR_CHECK(uart_driver_install(UART_NUM_0, BUFFER_BYTES, 0, 0, NULL, 0));
    ESP_ERROR_CHECK(uart_param_config(UART_NUM_0, &config));
#endif
}

static void send_collected(void) {
#ifdef CONFIG_AUTOMCU_LINE_USB
    (void)usb_serial_jtag_write_bytes(to_send, bytes_to_send, portMAX_DELAY);
#else
    (void)uart_write_bytes(UART_NUM_0, to_send, bytes_to_send);
#endif
    bytes_to_send = 0;
}

uint32_t port_start(void) {
    open_line();
    return esp_rom_get_cpu_ticks_per_us() * HZ_PER_MHZ;
}

uint8_t port_read(void) {
    uint8_t byte = 0;
    int count = 0;
    while (count != 1) {
#ifdef CONFIG_AUTOMCU_LINE_USB
        count = usb_serial_jtag_read_bytes(&byte, 1, portMAX_DELAY);
#else
        count = uart_read_bytes(UART_NUM_0, &byte, 1, portMAX_DELAY);
#endif
    }
    return byte;
}

void port_write(uint8_t byte) {
    to_send[bytes_to_send] = byte;
    bytes_to_send += 1;
    if (byte == FRAME_END || byte == '\n' || bytes_to_send == BUFFER_BYTES) {
        send_collected();
    }
}

void port_enter_boot_loader(void) {
    REG_WRITE(RTC_CNTL_OPTION1_REG, RTC_CNTL_FORCE_DOWNLOAD_BOOT);
    esp_restart();
}

/* The task's stack belongs to FreeRTOS, and is not painted in the firmware's way. */
MemorySpan port_stack(void) {
    MemorySpan none = {NULL, 0};
    return none;
}

MemorySpan port_arena(void) {
    MemorySpan arena = {(uint8_t *)model_arena, model_arena == NULL ? 0u : MODEL_ARENA_BYTES};
    return arena;
}

/* ESP-IDF's image holds much that is not the network's. */
uint32_t port_image_bytes(void) {
    return 0;
}

void cycle_counter_start(void) {
    count_at_start = esp_cpu_get_cycle_count();
}

uint32_t cycle_counter_stop(void) {
    return esp_cpu_get_cycle_count() - count_at_start;
}

void app_main(void) {
    (void)firmware_main();
}
