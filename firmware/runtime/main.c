#include "commands.h"
#include "link.h"
#include "port.h"

static Link serial_link;

int main(void) {
    commands_start(port_start());
    link_start(&serial_link);
    for (;;) {
        uint32_t request_bytes = link_receive(&serial_link, port_read());
        if (request_bytes == 0) {
            continue;
        }
        Answer answer = answer_request(serial_link.payload, request_bytes);
        if (answer.bytes != 0) {
            link_send(&serial_link, answer.bytes, port_write);
        }
        if (answer.then_boot_loader) {
            port_enter_boot_loader();
        }
    }
}
