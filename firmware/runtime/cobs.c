#include "cobs.h"

#define FULL_BLOCK_CODE 0xFFu /* 254 bytes follow and no zero is implied after them */
#define FULL_BLOCK_BYTES 254u

static void begin_frame(CobsDecoder *decoder) {
    decoder->length = 0;
    /* As if a full block had just ended: no zero is implied before the first block. */
    decoder->block_code = FULL_BLOCK_CODE;
    decoder->block_left = 0;
    decoder->damaged = false;
    decoder->ended = false;
}

void cobs_start(CobsDecoder *decoder, uint8_t *bytes, uint32_t capacity) {
    decoder->bytes = bytes;
    decoder->capacity = capacity;
    begin_frame(decoder);
}

static void append(CobsDecoder *decoder, uint8_t byte) {
    if (decoder->length == decoder->capacity) {
        decoder->damaged = true;
        return;
    }
    decoder->bytes[decoder->length] = byte;
    decoder->length += 1;
}

static bool end_frame(CobsDecoder *decoder) {
    if (decoder->damaged || decoder->block_left != 0) {
        decoder->length = 0;
    }
    decoder->ended = true;
    return true;
}

bool cobs_decode(CobsDecoder *decoder, uint8_t byte) {
    if (decoder->ended) {
        begin_frame(decoder);
    }
    if (byte == COBS_FRAME_END) {
        return end_frame(decoder);
    }
    if (decoder->block_left != 0) {
        append(decoder, byte);
        decoder->block_left -= 1;
        return false;
    }
    if (decoder->block_code != FULL_BLOCK_CODE) {
        append(decoder, 0);
    }
    decoder->block_code = byte;
    decoder->block_left = (uint8_t)(byte - 1u);
    return false;
}

static uint32_t bytes_before_zero(const uint8_t *bytes, uint32_t length) {
    uint32_t count = 0;
    while (count < length && count < FULL_BLOCK_BYTES && bytes[count] != 0) {
        count += 1;
    }
    return count;
}

void cobs_encode(const uint8_t *bytes, uint32_t length, void (*write)(uint8_t byte)) {
    uint32_t position = 0;
    for (;;) {
        uint32_t count = bytes_before_zero(bytes + position, length - position);
        write((uint8_t)(count + 1u));
        for (uint32_t i = 0; i < count; ++i) {
            write(bytes[position + i]);
        }
        position += count;
        if (position == length) {
            break;
        }
        if (count < FULL_BLOCK_BYTES) {
            position += 1; /* the zero that this block's end stands for */
        }
    }
    write(COBS_FRAME_END);
}
