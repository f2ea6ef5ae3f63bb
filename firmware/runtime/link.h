/* The serial link: frames of COBS(payload, CRC-32 of it little endian) and a zero byte.
 * A frame that is damaged or too long is dropped in silence; the host asks again. */
#ifndef AUTOMCU_LINK_H
#define AUTOMCU_LINK_H

#include <stdint.h>

#include "cobs.h"
#include "crc32.h"

#define LINK_MAX_PAYLOAD 1040u

typedef struct {
    CobsDecoder decoder;
    uint8_t payload[LINK_MAX_PAYLOAD + CRC32_BYTES];
} Link;

void link_start(Link *link);

/* Takes one byte from the line; returns the length of `payload` when it completed an intact
 * frame, else 0. The caller may overwrite `payload` until the next call. */
uint32_t link_receive(Link *link, uint8_t byte);

/* Sends the first `length` bytes of `payload`, at most LINK_MAX_PAYLOAD. */
void link_send(Link *link, uint32_t length, void (*write)(uint8_t byte));

#endif
