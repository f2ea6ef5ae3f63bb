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

/* LDR takes words at any byte address; may_alias and aligned say so in C. */
typedef uint32_t __attribute__((may_alias, aligned(1))) unaligned_word;

MODEL_INLINE uint32_t load_word(const int8_t *address)
{
    return *(const unaligned_word *)address;
}
