/* The commands of the serial link. A request is command, sequence, data; its answer is
 * command | 0x80, sequence, status, data. Integers are little endian. */
#ifndef AUTOMCU_COMMANDS_H
#define AUTOMCU_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#define PROTOCOL_VERSION 1u

typedef struct {
    uint32_t bytes; /* 0: no answer, as the request had no sequence number */
    bool then_boot_loader;
} Answer;

/* Must be called once; the clock is what `identify` reports. */
void commands_start(uint32_t clock_hz);

/* The output of the last run is gone: something else has used the model. */
void commands_forget_run(void);

/* Carries out the request in `payload` (LINK_MAX_PAYLOAD bytes) and puts the answer in its place. */
Answer answer_request(uint8_t *payload, uint32_t request_bytes);

#endif
