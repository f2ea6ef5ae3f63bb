#include "memory.h"

#include <stdint.h>

/* Word by word where both sides are aligned alike, which is the case for nearly all that a
 * compiler emits; the rest byte by byte. The build's flags keep the compiler from turning these
 * loops back into calls of the functions that they define. */

typedef uint32_t __attribute__((may_alias)) Word;

#define WORD_BYTES ((size_t)sizeof(Word))
#define REPEAT_IN_EVERY_BYTE 0x01010101u

static int same_alignment(const void *a, const void *b) {
    return (((uintptr_t)a ^ (uintptr_t)b) % WORD_BYTES) == 0;
}

void *memcpy(void *restrict destination, const void *restrict source, size_t length) {
    uint8_t *to = destination;
    const uint8_t *from = source;
    if (same_alignment(to, from)) {
        for (; length != 0 && (uintptr_t)to % WORD_BYTES != 0; --length) {
            *to++ = *from++;
        }
        for (; length >= WORD_BYTES; length -= WORD_BYTES) {
            *(Word *)(void *)to = *(const Word *)(const void *)from;
            to += WORD_BYTES;
            from += WORD_BYTES;
        }
    }
    for (; length != 0; --length) {
        *to++ = *from++;
    }
    return destination;
}

void *memmove(void *destination, const void *source, size_t length) {
    uint8_t *to = destination;
    const uint8_t *from = source;
    if (to <= from) { /* memcpy goes upwards, which is right for this case */
        return memcpy(destination, source, length);
    }
    while (length != 0) {
        length -= 1;
        to[length] = from[length];
    }
    return destination;
}

void *memset(void *destination, int value, size_t length) {
    uint8_t *to = destination;
    uint8_t byte = (uint8_t)value;
    for (; length != 0 && (uintptr_t)to % WORD_BYTES != 0; --length) {
        *to++ = byte;
    }
    for (; length >= WORD_BYTES; length -= WORD_BYTES) {
        *(Word *)(void *)to = byte * REPEAT_IN_EVERY_BYTE;
        to += WORD_BYTES;
    }
    for (; length != 0; --length) {
        *to++ = byte;
    }
    return destination;
}
