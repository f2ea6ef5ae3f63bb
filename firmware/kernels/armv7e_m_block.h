/* One row of output pixels for one group of channels; the assembly below reads it in this order. */
typedef struct {
    const int8_t *weights;
    const channel_constants *channels;
    int8_t *output;
    const int8_t *residual;
    uint32_t blocks;
    int32_t zero_point;
    uint32_t sum_multipliers; /* of the result (low half) and of the other operand */
    int32_t sum_offset;
    uint32_t sum_shift;
    uint32_t column; /* bytes from the start of each row to the first pixel's window */
    const int16_t *const *rows;
} block_job;

/* The same for two channels, two apart, of a depthwise convolution. */
typedef struct {
    const int8_t *weights;
    const channel_constants *channels;
    int8_t *output;
    uint32_t blocks;
    int32_t zero_point;
    uint32_t column;
    const int16_t *const *rows;
} depthwise_job;
