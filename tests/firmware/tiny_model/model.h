/* A model for tests: output[i] = input[i] + 1, in two layers. Written by hand. */
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

#define MODEL_INPUT_BYTES 64u
#define MODEL_OUTPUT_BYTES 64u
#define MODEL_ARENA_BYTES 192u
#define MODEL_LAYER_COUNT 2u
#define MODEL_HASH {0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF}

int8_t *model_input(void);
void model_run(void);
const int8_t *model_output(void);

#endif
