/* From reset to main: the vector table, the FPU, .data and .bss, the painted stack. */
#include "cortex_m.h"
#include "memory_use.h"
#include "port.h"
#include "start.h"

/* Set by the linker script; only their addresses mean anything. */
extern uint32_t __stack_limit[], __stack_top[];
extern uint32_t __data_image[], __data_start[], __data_end[];
extern uint32_t __bss_start[], __bss_end[];
extern uint8_t __arena_start[], __arena_end[];
extern uint8_t __image_bytes[];

int main(void);
void reset_handler(void) DOES_NOT_RETURN;

/* Nothing here can mend a fault, and a board that starts anew answers its host again. */
DOES_NOT_RETURN static void fault_handler(void) {
    system_reset();
}

typedef union {
    uint32_t *stack;
    void (*handler)(void);
} Vector;

/* The sixteen system vectors (DDI 0403, section B1.5.3). The firmware polls: no interrupt is
 * ever enabled, so the table ends here. */
__attribute__((section(".isr_vector"), used)) static const Vector vectors[16] = {
    {.stack = __stack_top},
    {.handler = reset_handler},
    {.handler = fault_handler}, /* non-maskable interrupt */
    {.handler = fault_handler}, /* hard fault */
    {.handler = fault_handler}, /* memory management fault */
    {.handler = fault_handler}, /* bus fault */
    {.handler = fault_handler}, /* usage fault */
    {.handler = fault_handler}, /* secure fault (Armv8-M) */
    {.handler = fault_handler}, {.handler = fault_handler}, {.handler = fault_handler},
    {.handler = fault_handler}, /* supervisor call */
    {.handler = fault_handler}, /* debug monitor */
    {.handler = fault_handler},
    {.handler = fault_handler}, /* supervisor call, pended */
    {.handler = fault_handler}, /* system tick */
};

static void enable_fpu(void) {
    SCB_CPACR |= CPACR_FPU_FULL_ACCESS;
    data_barrier();
    instruction_barrier();
}

/* Loops of their own rather than memcpy and memset: the ends are word aligned by the linker
 * script, and `volatile` keeps the compiler from calling anything before memory is set up. */
static void fill_words(uint32_t *start, const uint32_t *end, uint32_t value) {
    for (volatile uint32_t *word = start; word < end; ++word) {
        *word = value;
    }
}

static void copy_words(uint32_t *start, const uint32_t *end, const uint32_t *image) {
    for (volatile uint32_t *word = start; word < end; ++word) {
        *word = *image++;
    }
}

/* Words below the stack pointer that painting leaves alone: the painting function's own. */
#define PAINT_DISTANCE 16

static inline uint32_t *stack_pointer(void) {
    uint32_t *pointer;
    __asm volatile("mov %0, sp" : "=r"(pointer));
    return pointer;
}

void reset_handler(void) {
    start_boot_loader_if_asked();
    SCB_VTOR = (uint32_t)(uintptr_t)vectors; /* a boot loader may have left its own */
    enable_fpu();
    fill_words(__stack_limit, stack_pointer() - PAINT_DISTANCE, STACK_PAINT);
    copy_words(__data_start, __data_end, __data_image);
    fill_words(__bss_start, __bss_end, 0);
    main();
    system_reset();
}

MemorySpan port_stack(void) {
    MemorySpan stack = {(uint8_t *)__stack_limit,
                        (uint32_t)((uintptr_t)__stack_top - (uintptr_t)__stack_limit)};
    return stack;
}

MemorySpan port_arena(void) {
    MemorySpan arena = {__arena_start,
                        (uint32_t)((uintptr_t)__arena_end - (uintptr_t)__arena_start)};
    return arena;
}

uint32_t port_image_bytes(void) {
    return (uint32_t)(uintptr_t)__image_bytes;
}
