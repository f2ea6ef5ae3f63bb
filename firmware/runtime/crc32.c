#include "crc32.h"

#define ALL_ONES 0xFFFFFFFFu
#define NIBBLE_BITS 4u
#define NIBBLE_MASK 0xFu

/* One entry per nibble: a quarter of the speed of a byte table at a sixteenth of its flash. */
static const uint32_t remainder_of_nibble[16] = {
    0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
    0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
    0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
};

uint32_t crc32(const uint8_t *bytes, uint32_t length) {
    uint32_t remainder = ALL_ONES;
    for (uint32_t i = 0; i < length; ++i) {
        remainder ^= bytes[i];
        remainder = (remainder >> NIBBLE_BITS) ^ remainder_of_nibble[remainder & NIBBLE_MASK];
        remainder = (remainder >> NIBBLE_BITS) ^ remainder_of_nibble[remainder & NIBBLE_MASK];
    }
    return remainder ^ ALL_ONES;
}
