/* Runs every golden input and writes its output bytes, then the layers one by one with a marker
 * between them, and writes how many bytes of stack were touched. */
#include <stdint.h>

#include "golden.h"
#include "memory.h"
#include "memory_use.h"
#include "model.h"
#include "model_layers.h"
#include "sim.h"

#define SIMULATOR_EXIT 1
#define SIMULATOR_WRITE 4
#define STANDARD_OUTPUT 1
#define OWN_FRAMES 256 /* bytes that are in use here already, and not painted */

extern uint8_t _stack_limit[];
extern uint8_t _stack_top[];

static void simulator_call(int function, int first, const void *second, uint32_t third) {
    register int a2 __asm__("a2") = function;
    register int a3 __asm__("a3") = first;
    register const void *a4 __asm__("a4") = second;
    register uint32_t a5 __asm__("a5") = third;
    __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
}

void sim_stop(int code) {
    simulator_call(SIMULATOR_EXIT, code, 0, 0);
}

__attribute__((noinline)) void sim_marker(void) {
    __asm__ volatile("");
}

int main(void) {
    MemorySpan stack = {_stack_limit, (uint32_t)(_stack_top - _stack_limit)};
    uint32_t touched;
    memset(stack.start, (uint8_t)STACK_PAINT, stack.bytes - OWN_FRAMES);
#if GOLDEN_COUNT > 0
    for (uint32_t i = 0; i < GOLDEN_COUNT; ++i) {
        memcpy(model_input(), golden_inputs + i * MODEL_INPUT_BYTES, MODEL_INPUT_BYTES);
        model_run();
        simulator_call(SIMULATOR_WRITE, STANDARD_OUTPUT, model_output(), MODEL_OUTPUT_BYTES);
    }
    memcpy(model_input(), golden_inputs, MODEL_INPUT_BYTES);
#endif
    for (uint32_t i = 0; i < MODEL_LAYER_COUNT; ++i) {
        sim_marker();
        model_run_layer(i);
    }
    sim_marker();
    touched = stack_high_water(stack);
    simulator_call(SIMULATOR_WRITE, STANDARD_OUTPUT, &touched, sizeof touched);
    return 0;
}
