/* What a layer's kernel is told besides its shape, which is compiled into it. */

typedef struct {
    int32_t left_shift;
    int32_t zero_point;
    int32_t minimum;
    int32_t maximum;
} requantisation;

typedef struct {
    int32_t multiplier_a;
    int32_t multiplier_b;
    int32_t offset; /* the three zero points and the rounding half */
    int32_t shift;
    int32_t minimum;
    int32_t maximum;
} add_scaling;

/* The same where multipliers of 16 bits would be too coarse. */
typedef struct {
    int32_t multiplier_a;
    int32_t multiplier_b;
    int64_t offset;
    int32_t shift;
    int32_t minimum;
    int32_t maximum;
} wide_add_scaling;

/* One output channel of a convolution. */
typedef struct {
    int32_t bias; /* the input's zero point is folded in */
    int32_t multiplier;
} channel_constants;
