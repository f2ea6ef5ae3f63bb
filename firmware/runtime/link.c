#include "link.h"

#include "little_endian.h"

void link_start(Link *link) {
    cobs_start(&link->decoder, link->payload, sizeof link->payload);
}

uint32_t link_receive(Link *link, uint8_t byte) {
    if (!cobs_decode(&link->decoder, byte) || link->decoder.length < CRC32_BYTES) {
        return 0;
    }
    uint32_t length = link->decoder.length - CRC32_BYTES;
    if (crc32(link->payload, length) != read_u32(link->payload + length)) {
        return 0;
    }
    return length;
}

void link_send(Link *link, uint32_t length, void (*write)(uint8_t byte)) {
    write_u32(link->payload + length, crc32(link->payload, length));
    cobs_encode(link->payload, length + CRC32_BYTES, write);
}
