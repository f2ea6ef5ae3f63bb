#include "model.h"

#include "model_layers.h"
#include "model_weights.h"

#define SUM_OFFSET MODEL_INPUT_BYTES
#define OUTPUT_OFFSET (MODEL_INPUT_BYTES + MODEL_OUTPUT_BYTES)

__attribute__((section(".bss.model_arena"), aligned(16))) int8_t model_arena[MODEL_ARENA_BYTES];

int8_t *model_input(void) {
    return model_arena;
}

const int8_t *model_output(void) {
    return model_arena + OUTPUT_OFFSET;
}

static void add_bias(const int8_t *input, int8_t *sum) {
    for (uint32_t i = 0; i < MODEL_INPUT_BYTES; ++i) {
        sum[i] = (int8_t)(input[i] + model_bias[i]);
    }
}

static void copy(const int8_t *sum, int8_t *output) {
    for (uint32_t i = 0; i < MODEL_OUTPUT_BYTES; ++i) {
        output[i] = sum[i];
    }
}

void model_run_layer(uint32_t index) {
    if (index == 0) {
        add_bias(model_arena, model_arena + SUM_OFFSET);
    } else {
        copy(model_arena + SUM_OFFSET, model_arena + OUTPUT_OFFSET);
    }
}

void model_run(void) {
    for (uint32_t index = 0; index < MODEL_LAYER_COUNT; ++index) {
        model_run_layer(index);
    }
}
