/* Arithmetic that GCC calls functions for, where its own library has none for this core: Debian's
 * compiler for the LX106 ships without. Names and meaning: GCC Internals, "The GCC low-level
 * runtime library". Unsigned arithmetic throughout, so that nothing overflows in C's terms. */
#include <stdint.h>

#define WORD_BITS 32u

uint32_t __udivsi3(uint32_t dividend, uint32_t divisor);
uint32_t __umodsi3(uint32_t dividend, uint32_t divisor);
int32_t __divsi3(int32_t dividend, int32_t divisor);
int32_t __modsi3(int32_t dividend, int32_t divisor);
uint64_t __umulsidi3(uint32_t first, uint32_t second);
uint64_t __muldi3(uint64_t first, uint64_t second);
uint64_t __ashldi3(uint64_t value, int places);
uint64_t __lshrdi3(uint64_t value, int places);
int64_t __ashrdi3(int64_t value, int places);

static uint32_t high_word(uint64_t value) {
    union {
        uint64_t whole;
        uint32_t words[2]; /* the S3 is little endian */
    } both = {value};
    return both.words[1];
}

static uint64_t of_words(uint32_t high, uint32_t low) {
    union {
        uint32_t words[2];
        uint64_t whole;
    } both = {{low, high}};
    return both.whole;
}

/* MULUH and QUOU of the LX7, a8 and a9 to a8, by their bytes: Debian's assembler knows neither. */
#define LX7_MULUH ".byte 0x90, 0x88, 0xa2"
#define LX7_QUOU ".byte 0x90, 0x88, 0xc2"

static uint32_t high_product(uint32_t first, uint32_t second) {
    register uint32_t result __asm("a8") = first;
    register uint32_t factor __asm("a9") = second;
    __asm(LX7_MULUH : "+r"(result) : "r"(factor));
    return result;
}

uint32_t __udivsi3(uint32_t dividend, uint32_t divisor) {
    register uint32_t result __asm("a8") = dividend;
    register uint32_t by __asm("a9") = divisor;
    __asm volatile(LX7_QUOU : "+r"(result) : "r"(by));
    return result;
}

uint32_t __umodsi3(uint32_t dividend, uint32_t divisor) {
    return dividend - __udivsi3(dividend, divisor) * divisor;
}

static uint32_t magnitude(int32_t value) {
    return value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
}

int32_t __divsi3(int32_t dividend, int32_t divisor) {
    uint32_t quotient = __udivsi3(magnitude(dividend), magnitude(divisor));
    return (int32_t)((dividend < 0) != (divisor < 0) ? 0u - quotient : quotient);
}

int32_t __modsi3(int32_t dividend, int32_t divisor) {
    return dividend - __divsi3(dividend, divisor) * divisor;
}

uint64_t __umulsidi3(uint32_t first, uint32_t second) {
    return of_words(high_product(first, second), first * second);
}

uint64_t __muldi3(uint64_t first, uint64_t second) {
    uint64_t low = of_words(high_product((uint32_t)first, (uint32_t)second),
                            (uint32_t)first * (uint32_t)second);
    uint32_t cross = high_word(first) * (uint32_t)second + (uint32_t)first * high_word(second);
    return of_words(high_word(low) + cross, (uint32_t)low);
}

uint64_t __ashldi3(uint64_t value, int places) {
    uint32_t count = (uint32_t)places;
    uint32_t low = (uint32_t)value;
    if (count == 0) {
        return value;
    }
    if (count >= WORD_BITS) {
        return of_words(low << (count - WORD_BITS), 0);
    }
    return of_words(high_word(value) << count | low >> (WORD_BITS - count), low << count);
}

uint64_t __lshrdi3(uint64_t value, int places) {
    uint32_t count = (uint32_t)places;
    uint32_t high = high_word(value);
    if (count == 0) {
        return value;
    }
    if (count >= WORD_BITS) {
        return of_words(0, high >> (count - WORD_BITS));
    }
    return of_words(high >> count, (uint32_t)value >> count | high << (WORD_BITS - count));
}

int64_t __ashrdi3(int64_t value, int places) {
    uint32_t count = (uint32_t)places;
    int32_t high = (int32_t)high_word((uint64_t)value);
    uint32_t low = (uint32_t)(uint64_t)value;
    if (count == 0) {
        return value;
    }
    if (count >= WORD_BITS) {
        return (int64_t)of_words(high < 0 ? ~0u : 0u, (uint32_t)(high >> (count - WORD_BITS)));
    }
    return (int64_t)of_words((uint32_t)(high >> count),
                             low >> count | (uint32_t)high << (WORD_BITS - count));
}
