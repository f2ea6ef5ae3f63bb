/* CRC-32 as zlib computes it (polynomial 0x04C11DB7 reflected, initial value and final XOR all
 * ones; ITU-T V.42 section 8.1.1.6.2), so that the host checks frames with zlib.crc32. */
#ifndef AUTOMCU_CRC32_H
#define AUTOMCU_CRC32_H

#include <stdint.h>

#define CRC32_BYTES 4u

uint32_t crc32(const uint8_t *bytes, uint32_t length);

#endif
