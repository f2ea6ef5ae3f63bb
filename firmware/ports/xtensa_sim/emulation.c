/* What the LX7's high product and division compute, for QEMU's lx106, which has neither. */
#include <stdint.h>

#include "sim.h"

/* The third byte of the instruction (Xtensa Instruction Set Architecture Reference Manual). */
#define MULUH 0xA2u
#define MULSH 0xB2u
#define QUOU 0xC2u

#define HALF_BITS 16u
#define HALF_MASK 0xFFFFu
#define WORD_BITS 32u

static SIM_EMULATION uint32_t high_product(uint32_t first, uint32_t second) {
    uint32_t low = (first & HALF_MASK) * (second & HALF_MASK);
    uint32_t left = (first >> HALF_BITS) * (second & HALF_MASK);
    uint32_t right = (first & HALF_MASK) * (second >> HALF_BITS);
    uint32_t middle = (low >> HALF_BITS) + (left & HALF_MASK) + (right & HALF_MASK);
    return (first >> HALF_BITS) * (second >> HALF_BITS) + (left >> HALF_BITS) +
           (right >> HALF_BITS) + (middle >> HALF_BITS);
}

static SIM_EMULATION uint32_t quotient(uint32_t dividend, uint32_t divisor) {
    uint32_t result = 0;
    uint32_t rest = 0;
    for (uint32_t bit = WORD_BITS; bit != 0; --bit) {
        rest = rest << 1 | ((dividend >> (bit - 1u)) & 1u);
        result <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            result |= 1u;
        }
    }
    return result;
}

uint32_t emulate(uint32_t instruction, uint32_t first, uint32_t second) {
    uint32_t high = high_product(first, second);
    switch (instruction) {
    case MULUH:
        return high;
    case MULSH:
        return high - ((int32_t)first < 0 ? second : 0u) - ((int32_t)second < 0 ? first : 0u);
    case QUOU:
        return quotient(first, second);
    default:
        sim_stop(SIM_ILLEGAL);
        return 0;
    }
}
