/* Integer arithmetic shared by all kernels; docs/integer-semantics.md specifies it. */

/* Right shifts below are arithmetic. C99 leaves that to the compiler: fail to build where it is not. */
typedef char right_shift_is_arithmetic[((-1) >> 1) == -1 ? 1 : -1];

/* What is before is done before: compilers load far ahead, or find other ways to the same sums, and
 * spill what they need for it. */
#define IN_THIS_ORDER(first, second) __asm__ volatile("" : "+r"(first), "+r"(second) : : "memory")

MODEL_INLINE int8_t clamp_to_int8(int32_t value, int32_t minimum, int32_t maximum)
{
    if (value < minimum) {
        value = minimum;
    }
    if (value > maximum) {
        value = maximum;
    }
    return (int8_t)value;
}

/* (first * second) >> 32 */
MODEL_INLINE int32_t high_product(int32_t first, int32_t second)
{
#if defined(__XTENSA__)
    /* The LX7's MULSH a8, a8, a9, by its bytes: Debian's assembler for the LX106 does not know it. */
    register int32_t high __asm__("a8") = first;
    register int32_t factor __asm__("a9") = second;
    __asm__(".byte 0x90, 0x88, 0xb2" : "+r"(high) : "r"(factor));
    return high;
#else
    return (int32_t)(((int64_t)first * second) >> 32);
#endif
}

/* (first * second + 2^31) >> 32 */
MODEL_INLINE int32_t rounded_high_product(int32_t first, int32_t second)
{
#if defined(__XTENSA__)
    return high_product(first, second) + (int32_t)(((uint32_t)first * (uint32_t)second) >> 31);
#else
    return (int32_t)(((int64_t)first * second + ((int64_t)1 << 31)) >> 32);
#endif
}

/* zero_point + ((accumulator << left_shift) * multiplier + 2^31) >> 32, clamped. */
MODEL_INLINE int8_t requantise(int32_t accumulator, int32_t multiplier, const requantisation *scaling)
{
    const int32_t shifted = (int32_t)((uint32_t)accumulator << scaling->left_shift);
    return clamp_to_int8(rounded_high_product(shifted, multiplier) + scaling->zero_point, scaling->minimum,
                         scaling->maximum);
}

/* The same where a negative multiplier amplifies: accumulators of more than 22 bits saturate the result. */
#define AMPLIFIED_LIMIT ((int32_t)1 << 21)
#define AMPLIFIED_UNIT ((int32_t)1 << 10)

MODEL_INLINE int8_t requantise_amplified(int32_t accumulator, int32_t multiplier, const requantisation *scaling)
{
    if (multiplier >= 0) {
        return requantise(accumulator, multiplier, scaling);
    }
    int32_t saturated = accumulator;
    if (saturated < -AMPLIFIED_LIMIT) {
        saturated = -AMPLIFIED_LIMIT;
    }
    if (saturated > AMPLIFIED_LIMIT - 1) {
        saturated = AMPLIFIED_LIMIT - 1;
    }
    return requantise(saturated * AMPLIFIED_UNIT, -multiplier, scaling);
}

/* (a * multiplier_a + b * multiplier_b + offset) >> shift, clamped. */
MODEL_INLINE int8_t add_scaled(int32_t a, int32_t b, const add_scaling *scaling)
{
    const int32_t total = a * scaling->multiplier_a + b * scaling->multiplier_b + scaling->offset;
    return clamp_to_int8(total >> scaling->shift, scaling->minimum, scaling->maximum);
}

/* The same with sums of 64 bits. */
MODEL_INLINE int8_t add_scaled_wide(int32_t a, int32_t b, const wide_add_scaling *scaling)
{
    const int64_t total = (int64_t)a * scaling->multiplier_a + (int64_t)b * scaling->multiplier_b + scaling->offset;
    const int64_t result = total >> scaling->shift;
    if (result < scaling->minimum) {
        return (int8_t)scaling->minimum;
    }
    return (int8_t)(result > scaling->maximum ? scaling->maximum : result);
}

/* A difference of two scores, cut to where the shift leaves it within 32 bits: it weighs nothing then. */
MODEL_INLINE int32_t cut_difference(int32_t difference, int32_t largest, int32_t shift)
{
    return (difference < largest ? difference : largest) * ((int32_t)1 << shift);
}
