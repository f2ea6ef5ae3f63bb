/* Consistent Overhead Byte Stuffing: packets without a zero byte, so that zero can end a frame
 * (Cheshire and Baker, IEEE/ACM Transactions on Networking 7(2), 1999). */
#ifndef AUTOMCU_COBS_H
#define AUTOMCU_COBS_H

#include <stdbool.h>
#include <stdint.h>

#define COBS_FRAME_END 0x00u

typedef struct {
    uint8_t *bytes;    /* where the decoded packet goes */
    uint32_t capacity; /* how many bytes fit there */
    uint32_t length;   /* how many have been decoded */
    uint8_t block_code;
    uint8_t block_left; /* bytes until the next code byte */
    bool damaged;       /* longer than the capacity: ignored up to the next frame end */
    bool ended;         /* the next byte begins a frame */
} CobsDecoder;

void cobs_start(CobsDecoder *decoder, uint8_t *bytes, uint32_t capacity);

/* Takes one byte from the line. True when it ended a frame: `length` bytes are then in `bytes`,
 * none if the frame was damaged. The call after that begins the next frame. */
bool cobs_decode(CobsDecoder *decoder, uint8_t byte);

/* Encodes a packet byte by byte into `write`, the frame end included. */
void cobs_encode(const uint8_t *bytes, uint32_t length, void (*write)(uint8_t byte));

#endif
