#include "memory.h"

#include <stdint.h>

/* Sixteen bytes at a time, then four, then one. The build's flags keep the compiler from turning
 * these loops back into calls of the functions that they define. */

typedef uint32_t __attribute__((may_alias)) Word;
typedef struct {
    uint32_t words[4];
} __attribute__((may_alias)) Block;
/* A word at any address: the cores that run this load it at once. */
typedef struct {
    uint32_t value;
} __attribute__((may_alias, packed)) UnalignedWord;

#define REPEAT_IN_EVERY_BYTE 0x01010101u

static int is_aligned(const void *address) {
    return (uintptr_t)address % sizeof(Word) == 0;
}

/* Right for ranges that overlap too, if the destination does not begin inside the source. */
static void copy_upwards(uint8_t *to, const uint8_t *from, size_t length) {
    for (; length != 0 && !is_aligned(to); --length) {
        *to++ = *from++;
    }
    if (is_aligned(from)) {
        for (; length >= sizeof(Block); length -= sizeof(Block)) {
            *(Block *)(void *)to = *(const Block *)(const void *)from;
            to += sizeof(Block);
            from += sizeof(Block);
        }
    }
    for (; length >= sizeof(Word); length -= sizeof(Word)) {
        *(Word *)(void *)to = ((const UnalignedWord *)(const void *)from)->value;
        to += sizeof(Word);
        from += sizeof(Word);
    }
    for (; length != 0; --length) {
        *to++ = *from++;
    }
}

void *memcpy(void *restrict destination, const void *restrict source, size_t length) {
    copy_upwards(destination, source, length);
    return destination;
}

void *memmove(void *destination, const void *source, size_t length) {
    uint8_t *to = destination;
    const uint8_t *from = source;
    if ((uintptr_t)to - (uintptr_t)from >= length) {
        copy_upwards(to, from, length);
        return destination;
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
    uint32_t word = byte * REPEAT_IN_EVERY_BYTE;
    const Block block = {{word, word, word, word}};
    for (; length != 0 && !is_aligned(to); --length) {
        *to++ = byte;
    }
    for (; length >= sizeof(Block); length -= sizeof(Block)) {
        *(Block *)(void *)to = block;
        to += sizeof(Block);
    }
    for (; length >= sizeof(Word); length -= sizeof(Word)) {
        *(Word *)(void *)to = word;
        to += sizeof(Word);
    }
    for (; length != 0; --length) {
        *to++ = byte;
    }
    return destination;
}
