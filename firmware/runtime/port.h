/* What the runtime needs from a port: one folder under firmware/ports per kind of machine. */
#ifndef AUTOMCU_PORT_H
#define AUTOMCU_PORT_H

#include <stdint.h>

typedef struct {
    uint8_t *start;
    uint32_t bytes;
} MemorySpan;

/* Starts clock and serial line. Returns the core clock that was really reached, in hertz. */
uint32_t port_start(void);

/* Waits for a byte from the host. */
uint8_t port_read(void);

/* Sends a byte, waiting while the transmitter is busy. */
void port_write(uint8_t byte);

/* Waits until the last byte has left the transmitter, then starts the ROM boot loader. */
void port_enter_boot_loader(void);

/* The memory reserved for the stack, and the model's arena. */
MemorySpan port_stack(void);
MemorySpan port_arena(void);

/* Bytes of the image in flash. */
uint32_t port_image_bytes(void);

/* The profile's board id. */
extern const char port_board_name[];

/* Counts core cycles between start and stop; the counter is off otherwise. */
void cycle_counter_start(void);
uint32_t cycle_counter_stop(void);

#endif
