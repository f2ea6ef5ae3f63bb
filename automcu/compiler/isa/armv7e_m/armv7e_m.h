/* Single instructions of the DSP extension (ARMv7-M Architecture Reference Manual, A7.7). */

/* Bytes 0 and 2, sign-extended to the two halfwords. */
MODEL_INLINE uint32_t sxtb16(uint32_t value)
{
    uint32_t result;
    __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(value));
    return result;
}

/* Bytes 1 and 3, sign-extended to the two halfwords. */
MODEL_INLINE uint32_t sxtb16_high(uint32_t value)
{
    uint32_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(value));
    return result;
}

/* Bytes 0 and 2 of a word added to the two halfwords of another. */
MODEL_INLINE uint32_t sxtab16(uint32_t sums, uint32_t value)
{
    uint32_t result;
    __asm__("sxtab16 %0, %1, %2" : "=r"(result) : "r"(sums), "r"(value));
    return result;
}

/* Bytes 1 and 3 of a word added to the two halfwords of another. */
MODEL_INLINE uint32_t sxtab16_high(uint32_t sums, uint32_t value)
{
    uint32_t result;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(sums), "r"(value));
    return result;
}

/* The low halfwords of two words side by side. */
MODEL_INLINE uint32_t pack_low(uint32_t low, uint32_t high)
{
    uint32_t result;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(low), "r"(high));
    return result;
}

/* The high halfwords of two words side by side. */
MODEL_INLINE uint32_t pack_high(uint32_t low, uint32_t high)
{
    uint32_t result;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(result) : "r"(high), "r"(low));
    return result;
}

/* Sum of the products of the halfwords of two words, and an addend. */
MODEL_INLINE int32_t smlad(uint32_t a, uint32_t b, int32_t addend)
{
    int32_t result;
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(addend));
    return result;
}

/* Product of the low halfwords of two words, and an addend. */
MODEL_INLINE int32_t smlabb(uint32_t a, int32_t b, int32_t addend)
{
    int32_t result;
    __asm__("smlabb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(addend));
    return result;
}

/* Product of the high halfword of one word and the low one of another, and an addend. */
MODEL_INLINE int32_t smlatb(uint32_t a, int32_t b, int32_t addend)
{
    int32_t result;
    __asm__("smlatb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(addend));
    return result;
}

/* zero_point + (shifted * multiplier + 2^31) >> 32, saturated to int8. */
MODEL_INLINE int32_t requantise_shifted(int32_t shifted, int32_t multiplier, int32_t zero_point)
{
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(shifted), "r"(multiplier), "r"(zero_point));
    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(result));
    return result;
}

/* The same where a negative multiplier amplifies: the accumulator is saturated to 22 bits and shifted first. */
MODEL_INLINE int32_t requantise_amplified_to_int8(int32_t accumulator, int32_t multiplier, int32_t zero_point)
{
    int32_t result;
    if (multiplier >= 0) {
        return requantise_shifted(accumulator, multiplier, zero_point);
    }
    __asm__("ssat %0, #22, %1" : "=r"(result) : "r"(accumulator));
    return requantise_shifted(result * AMPLIFIED_UNIT, -multiplier, zero_point);
}

/* (a * b + 2^31) >> 32 */
MODEL_INLINE int32_t high_product_rounded(int32_t a, int32_t b)
{
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

MODEL_INLINE int32_t saturate_to_int8(int32_t value)
{
    int32_t result;
    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(value));
    return result;
}

/* The low bytes of four words as one word. */
MODEL_INLINE uint32_t pack_bytes(int32_t byte0, int32_t byte1, int32_t byte2, int32_t byte3)
{
    uint32_t word = (uint32_t)byte0;
    __asm__("bfi %0, %1, #8, #8" : "+r"(word) : "r"(byte1));
    __asm__("bfi %0, %1, #16, #8" : "+r"(word) : "r"(byte2));
    __asm__("bfi %0, %1, #24, #8" : "+r"(word) : "r"(byte3));
    return word;
}

/* LDR takes words at any byte address; may_alias and aligned say so in C. */
typedef uint32_t __attribute__((may_alias, aligned(1))) unaligned_word;

MODEL_INLINE uint32_t load_word(const int8_t *address)
{
    return *(const unaligned_word *)address;
}

MODEL_INLINE void store_word(int8_t *address, uint32_t word)
{
    *(unaligned_word *)address = word;
}
