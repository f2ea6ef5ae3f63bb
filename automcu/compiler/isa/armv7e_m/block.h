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

/* One row of output pixels of a depthwise convolution. */
typedef struct {
    const int8_t *weights;
    const channel_constants *channels;
    int8_t *output;
    uint32_t pairs; /* of channels */
    int32_t zero_point;
    uint32_t column; /* as above */
    const int16_t *const *rows;
} depthwise_job;

/* How the rows of an image go into a ring of widened rows. Lengths are counted in values. */
typedef struct {
    int32_t image_rows;
    int32_t image_row; /* values of a row */
    int32_t channels;
    int32_t ring_channels; /* at least as many; the rest is zero */
    int32_t pad_top;
    int32_t left;   /* padding before a row's pixels */
    int32_t pixels; /* of a row that are read */
    int32_t right;  /* padding behind them */
    int32_t ring_row;
    int32_t ring_rows; /* the kernel's height */
    int32_t stride;
} ring_shape;

MODEL_INLINE int16_t *pad_row(int16_t *widened, int32_t length, int16_t padding)
{
    for (; length > 0; length--) {
        *widened++ = padding;
    }
    return widened;
}

/* The pixels of a row, 16 bits a value; channels in fours go word by word, paired by SXTB16. */
__attribute__((noinline, unused)) static int16_t *widen_pixels(const int8_t *input, int16_t *widened, const ring_shape *shape)
{
    MODEL_WRITES_MEMORY;
    if (shape->channels % 4 == 0) {
        uint32_t *pairs = (uint32_t *)(void *)widened;
        int32_t words = shape->pixels * shape->channels / 4;
        for (; words >= 4; words -= 4) {
            const uint32_t values0 = load_word(input);
            const uint32_t values1 = load_word(&input[4]);
            const uint32_t values2 = load_word(&input[8]);
            const uint32_t values3 = load_word(&input[12]);
            pairs[0] = sxtb16(values0);
            pairs[1] = sxtb16_high(values0);
            pairs[2] = sxtb16(values1);
            pairs[3] = sxtb16_high(values1);
            pairs[4] = sxtb16(values2);
            pairs[5] = sxtb16_high(values2);
            pairs[6] = sxtb16(values3);
            pairs[7] = sxtb16_high(values3);
            pairs += 8;
            input += 16;
        }
        for (; words > 0; words--) {
            const uint32_t values = load_word(input);
            pairs[0] = sxtb16(values);
            pairs[1] = sxtb16_high(values);
            pairs += 2;
            input += 4;
        }
        return (int16_t *)(void *)pairs;
    }
    for (int32_t pixel = 0; pixel < shape->pixels; pixel++) {
        for (int32_t channel = 0; channel < shape->ring_channels; channel++) {
            *widened++ = channel < shape->channels ? input[channel] : 0;
        }
        input += shape->channels;
    }
    return widened;
}

/* Bring into the ring the image rows that an output row needs and that are not there yet. */
__attribute__((noinline, unused)) static void advance_ring(const int8_t *input, int32_t out_row, int16_t *ring,
                                                           const int16_t **rows, int32_t padding, const ring_shape *shape)
{
    MODEL_WRITES_MEMORY;
    const int32_t first = out_row * shape->stride;
    const int32_t end = first + shape->ring_rows;
    int32_t row = out_row > 0 && shape->stride < shape->ring_rows ? end - shape->stride : first;
    for (; row < end; row++) {
        int16_t *const widened = &ring[(row % shape->ring_rows) * shape->ring_row];
        const int32_t image_row = row - shape->pad_top;
        if (image_row < 0 || image_row >= shape->image_rows) {
            pad_row(widened, shape->ring_row, (int16_t)padding);
        } else {
            int16_t *const pixels = pad_row(widened, shape->left, (int16_t)padding);
            int16_t *const behind = widen_pixels(&input[image_row * shape->image_row], pixels, shape);
            pad_row(behind, shape->right, (int16_t)padding);
        }
    }
    for (int32_t index = 0; index < shape->ring_rows; index++) {
        rows[index] = &ring[((first + index) % shape->ring_rows) * shape->ring_row];
    }
}
