"""C programs that do a bit of everything, for counting and for running on virtual boards."""

# Integer and table work with loops, calls, literals, tables in flash, and indirect jumps.
MIXED_WORK = """
#include <stdint.h>

static const uint8_t table[256] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4};
static uint32_t memory[64];

static __attribute__((noinline)) uint32_t mix(uint32_t state, uint32_t step) {
    switch (step % 7u) {
    case 0: return state * 1664525u + 1013904223u;
    case 1: return state ^ (state >> 7);
    case 2: return state + table[state & 0xFFu];
    case 3: return state / (step + 1u);
    case 4: return (state << 5) | (state >> 27);
    case 5: return state - memory[step & 63u];
    default: return ~state;
    }
}

uint32_t work(uint32_t rounds) {
    uint32_t state = 1;
    for (uint32_t i = 0; i < rounds; ++i) {
        state = mix(state, i + (state & 3u));
        memory[i & 63u] += state;
        if ((state & 0x11u) == 0x10u) {
            state += table[(state >> 8) & 0xFFu];
        }
    }
    return state;
}

void start(void);
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t stack;
    void (*start)(void);
} vectors = {0x20020000u, start};

void start(void) {
    memory[0] = work(300);
    __asm volatile("bkpt #0");
}
"""

# An STM32F4's USART that sends back every byte plus one, sleeps on 's', faults on 'f', jumps to
# the boot loader on 'b', and resets on 'r'. Its greeting counts what it did since power-up.
ECHO = """
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define STATUS REGISTER(0x40011000u)
#define DATA REGISTER(0x40011004u)
#define CONTROL REGISTER(0x4001100Cu)

static void send(uint32_t byte) {
    while ((STATUS & 0x80u) == 0) {
    }
    DATA = byte;
}

static uint32_t receive(void) {
    while ((STATUS & 0x20u) == 0) {
    }
    return DATA;
}

void start(void);
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t stack;
    void (*start)(void);
} vectors = {0x20020000u, start};

void start(void) {
    CONTROL = 0x200Cu;
    for (;;) {
        uint32_t byte = receive();
        if (byte == 'f') {
            REGISTER(0x60000000u) = 1;
        } else if (byte == 'r') {
            REGISTER(0xE000ED0Cu) = 0x05FA0004u;
        } else if (byte == 'b') {
            __asm volatile("ldr r0, =0x1FFF0004; ldr r0, [r0]; bx r0");
        } else if (byte == 'n') {
            send(REGISTER(0x20000800u)++);
        } else {
            send(byte + 1u);
        }
    }
}
"""
