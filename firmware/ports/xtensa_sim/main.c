/* Runs every golden input, then the layers one by one, with a marker between them. The exit code is
 * the number of output bytes that differ, at most MOST. */
#include <stdint.h>

#include "golden.h"
#include "memory.h"
#include "model.h"
#include "model_layers.h"
#include "sim.h"

#define MOST 100
#define SIMULATOR_EXIT 1

void sim_stop(int code) {
    register int function __asm__("a2") = SIMULATOR_EXIT;
    register int argument __asm__("a3") = code;
    __asm__ volatile("simcall" : : "a"(function), "a"(argument));
}

__attribute__((noinline)) void sim_marker(void) {
    __asm__ volatile("");
}

int main(void) {
    int differing = 0;
#if GOLDEN_COUNT > 0
    for (uint32_t i = 0; i < GOLDEN_COUNT; ++i) {
        memcpy(model_input(), golden_inputs + i * MODEL_INPUT_BYTES, MODEL_INPUT_BYTES);
        model_run();
        for (uint32_t j = 0; j < MODEL_OUTPUT_BYTES; ++j) {
            differing += model_output()[j] != golden_outputs[i * MODEL_OUTPUT_BYTES + j];
        }
    }
    memcpy(model_input(), golden_inputs, MODEL_INPUT_BYTES);
#endif
    for (uint32_t i = 0; i < MODEL_LAYER_COUNT; ++i) {
        sim_marker();
        model_run_layer(i);
    }
    sim_marker();
    return differing < MOST ? differing : MOST;
}
