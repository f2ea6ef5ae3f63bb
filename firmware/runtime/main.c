#include "commands.h"
#include "link.h"
#include "mlperf.h"
#include "port.h"
#include "text_line.h"

static Link serial_link;
static TextLine text_line;

static void take_frame_byte(uint8_t byte) {
    uint32_t request_bytes = link_receive(&serial_link, byte);
    if (request_bytes == 0) {
        return;
    }
    Answer answer = answer_request(serial_link.payload, request_bytes);
    if (answer.bytes != 0) {
        link_send(&serial_link, answer.bytes, port_write);
    }
    if (answer.then_boot_loader) {
        port_enter_boot_loader();
    }
}

static void take_byte(uint8_t byte) {
    switch (text_line_receive(&text_line, byte)) {
    case TEXT_HELD:
        return;
    case TEXT_COMMAND:
        commands_forget_run();
        mlperf_answer(text_line.text, port_write);
        break;
    default:
        mlperf_forget();
        for (uint32_t i = 0; i < text_line.length; ++i) {
            take_frame_byte((uint8_t)text_line.text[i]);
        }
        take_frame_byte(byte);
        break;
    }
    text_line_clear(&text_line);
}

int main(void) {
    uint32_t clock_hz = port_start();
    commands_start(clock_hz);
    link_start(&serial_link);
    text_line_start(&text_line);
    mlperf_start(clock_hz, serial_link.payload, LINK_MAX_PAYLOAD);
    for (;;) {
        take_byte(port_read());
    }
}
