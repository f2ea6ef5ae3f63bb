#include "commands.h"

#include <stddef.h>

#include "little_endian.h"
#include "memory.h"
#include "memory_use.h"
#include "model.h"
#include "model_layers.h"
#include "port.h"

#define REQUEST_HEADER_BYTES 2u /* command, sequence */
#define ANSWER_HEADER_BYTES 3u  /* command | ANSWER_BIT, sequence, status */
#define ANSWER_BIT 0x80u

#define MAX_CHUNK 1024u
#define MAX_COUNTS 250u /* as many as fit into an answer: 3 + 2 + 4 * 250 bytes of 1040 */
#define MAX_TEXT 255u
#define OFFSET_BYTES 4u
#define FLAG_COUNT_CYCLES 0x01u

enum { STATUS_OK, STATUS_UNKNOWN_COMMAND, STATUS_BAD_LENGTH, STATUS_OUT_OF_RANGE };

/* Request data and answer data share one buffer, the answer's a byte later: a handler reads all
 * that it needs before it writes. */
typedef struct {
    uint8_t sequence;
    const uint8_t *request;
    uint32_t request_bytes;
    uint8_t *answer;
    uint32_t answer_bytes;
} Exchange;

#if defined(__clang__)
static const char compiler_name[] = __VERSION__; /* names clang itself */
#else
static const char compiler_name[] = "gcc " __VERSION__;
#endif

static uint32_t clock_hz;
static uint32_t layer_cycles[MODEL_LAYER_COUNT];

/* The run that the host may ask for again because its answer was lost. The model overwrites its
 * input, so running anew would give another output. */
static struct {
    bool valid;
    uint8_t sequence;
    uint32_t cycles;
} last_run;

void commands_start(uint32_t clock) {
    clock_hz = clock;
    last_run.valid = false;
}

void commands_forget_run(void) {
    last_run.valid = false;
}

static void put_u16(Exchange *exchange, uint16_t value) {
    write_u16(exchange->answer + exchange->answer_bytes, value);
    exchange->answer_bytes += (uint32_t)sizeof value;
}

static void put_u32(Exchange *exchange, uint32_t value) {
    write_u32(exchange->answer + exchange->answer_bytes, value);
    exchange->answer_bytes += (uint32_t)sizeof value;
}

static void put_bytes(Exchange *exchange, const void *bytes, uint32_t length) {
    memcpy(exchange->answer + exchange->answer_bytes, bytes, length);
    exchange->answer_bytes += length;
}

static void put_text(Exchange *exchange, const char *text) {
    uint8_t length = 0;
    while (length < MAX_TEXT && text[length] != '\0') {
        length = (uint8_t)(length + 1u);
    }
    put_bytes(exchange, &length, sizeof length);
    put_bytes(exchange, text, length);
}

static uint8_t identify(Exchange *exchange) {
    static const uint8_t version = PROTOCOL_VERSION;
    static const uint8_t model_hash[] = MODEL_HASH;
    put_bytes(exchange, &version, sizeof version);
    put_bytes(exchange, model_hash, sizeof model_hash);
    put_u32(exchange, clock_hz);
    put_u32(exchange, MODEL_ARENA_BYTES);
    put_u32(exchange, port_image_bytes());
    put_u32(exchange, MODEL_INPUT_BYTES);
    put_u32(exchange, MODEL_OUTPUT_BYTES);
    put_u16(exchange, MODEL_LAYER_COUNT);
    put_text(exchange, port_board_name);
    put_text(exchange, compiler_name);
    return STATUS_OK;
}

static uint8_t write_input(Exchange *exchange) {
    uint32_t offset = read_u32(exchange->request);
    uint32_t length = exchange->request_bytes - OFFSET_BYTES;
    if (offset > MODEL_INPUT_BYTES || length > MODEL_INPUT_BYTES - offset) {
        return STATUS_OUT_OF_RANGE;
    }
    last_run.valid = false;
    memcpy(model_input() + offset, exchange->request + OFFSET_BYTES, length);
    return STATUS_OK;
}

static uint32_t counted_run(void) {
    cycle_counter_start();
    model_run();
    return cycle_counter_stop();
}

static uint8_t run(Exchange *exchange) {
    uint8_t flags = exchange->request[0];
    if ((flags & ~FLAG_COUNT_CYCLES) != 0) {
        return STATUS_OUT_OF_RANGE;
    }
    if (!last_run.valid || last_run.sequence != exchange->sequence) {
        if ((flags & FLAG_COUNT_CYCLES) != 0) {
            last_run.cycles = counted_run();
        } else {
            model_run();
            last_run.cycles = 0;
        }
        last_run.sequence = exchange->sequence;
        last_run.valid = true;
    }
    put_u32(exchange, last_run.cycles);
    return STATUS_OK;
}

static uint8_t read_output(Exchange *exchange) {
    uint32_t offset = read_u32(exchange->request);
    uint32_t length = read_u16(exchange->request + OFFSET_BYTES);
    if (length == 0 || length > MAX_CHUNK || offset > MODEL_OUTPUT_BYTES ||
        length > MODEL_OUTPUT_BYTES - offset) {
        return STATUS_OUT_OF_RANGE;
    }
    put_bytes(exchange, model_output() + offset, length);
    return STATUS_OK;
}

static void count_layers(void) {
    last_run.valid = false;
    for (uint32_t layer = 0; layer < MODEL_LAYER_COUNT; ++layer) {
        cycle_counter_start();
        model_run_layer(layer);
        layer_cycles[layer] = cycle_counter_stop();
    }
}

static uint8_t profile(Exchange *exchange) {
    uint32_t first = read_u16(exchange->request);
    if (first >= MODEL_LAYER_COUNT) {
        return STATUS_OUT_OF_RANGE;
    }
    if (first == 0) {
        count_layers();
    }
    put_u16(exchange, MODEL_LAYER_COUNT);
    for (uint32_t layer = first; layer < MODEL_LAYER_COUNT && layer - first < MAX_COUNTS; ++layer) {
        put_u32(exchange, layer_cycles[layer]);
    }
    return STATUS_OK;
}

static uint8_t benchmark(Exchange *exchange) {
    uint32_t runs = read_u16(exchange->request);
    if (runs == 0 || runs > MAX_COUNTS) {
        return STATUS_OUT_OF_RANGE;
    }
    last_run.valid = false;
    for (uint32_t i = 0; i < runs; ++i) {
        put_u32(exchange, counted_run());
    }
    return STATUS_OK;
}

static uint8_t memory(Exchange *exchange) {
    MemorySpan stack = port_stack();
    last_run.valid = false;
    uint32_t arena_touched = arena_high_water(port_arena());
    put_u32(exchange, stack_high_water(stack));
    put_u32(exchange, stack.bytes);
    put_u32(exchange, arena_touched);
    return STATUS_OK;
}

static uint8_t acknowledge(Exchange *exchange) {
    (void)exchange;
    return STATUS_OK;
}

#define FIRST_COMMAND 1u
#define BOOT_LOADER_COMMAND 8u

/* In the order of their numbers, from FIRST_COMMAND on. */
static const struct {
    uint8_t (*answer)(Exchange *exchange);
    uint16_t least_bytes; /* of request data */
    uint16_t most_bytes;
} commands[] = {
    {identify, 0, 0},
    {write_input, OFFSET_BYTES + 1u, OFFSET_BYTES + MAX_CHUNK},
    {run, 1, 1},
    {read_output, OFFSET_BYTES + 2u, OFFSET_BYTES + 2u},
    {profile, 2, 2},
    {benchmark, 2, 2},
    {memory, 0, 0},
    {acknowledge, 0, 0}, /* boot loader: started once the answer is out */
};

static uint8_t carry_out(uint8_t command, Exchange *exchange) {
    uint32_t index = command - FIRST_COMMAND; /* command 0 wraps round and is unknown too */
    if (index >= sizeof commands / sizeof commands[0]) {
        return STATUS_UNKNOWN_COMMAND;
    }
    if (exchange->request_bytes < commands[index].least_bytes ||
        exchange->request_bytes > commands[index].most_bytes) {
        return STATUS_BAD_LENGTH;
    }
    return commands[index].answer(exchange);
}

Answer answer_request(uint8_t *payload, uint32_t request_bytes) {
    Answer answer = {0, false};
    if (request_bytes < REQUEST_HEADER_BYTES) {
        return answer;
    }
    uint8_t command = payload[0];
    Exchange exchange = {
        payload[1],
        payload + REQUEST_HEADER_BYTES,
        request_bytes - REQUEST_HEADER_BYTES,
        payload + ANSWER_HEADER_BYTES,
        0,
    };
    uint8_t status = carry_out(command, &exchange);
    payload[0] = (uint8_t)(command | ANSWER_BIT);
    payload[2] = status;
    answer.bytes = ANSWER_HEADER_BYTES + exchange.answer_bytes;
    answer.then_boot_loader = command == BOOT_LOADER_COMMAND && status == STATUS_OK;
    return answer;
}
