#include "mlperf.h"

#include <stdbool.h>
#include <stddef.h>

#include "memory.h"
#include "model.h"
#include "port.h"

/* Models written by hand need not say how their output is quantised. */
#ifndef MODEL_OUTPUT_SCALE
#define MODEL_OUTPUT_SCALE 1.0
#define MODEL_OUTPUT_ZERO_POINT 0
#endif

#define HZ_PER_MHZ 1000000u
#define DECIMAL 10u
#define NIBBLE_BITS 4u
#define THOUSAND 1000u
#define FRACTION_BITS 16u
/* One step of the output in thousandths: the compiler works this out, no core needs a double. */
#define THOUSANDTHS_PER_STEP \
    ((uint64_t)(MODEL_OUTPUT_SCALE * 1000.0 * (double)(1u << FRACTION_BITS) + 0.5))
#define DECIMAL_PLACES 3u
#define NOT_HEXADECIMAL 16u
#define MOST_DIGITS 10u /* of a uint32_t */
#define DEFAULT_WARM_UP_RUNS 10u
#define LARGEST_NUMBER 100000000u

/* Nothing here is in a hurry: small code instead. */
#define SMALL __attribute__((noinline, cold))

static struct {
    void (*write)(uint8_t byte);
    uint32_t clock_mhz;
    uint8_t *results;
    uint32_t capacity;
    uint32_t expected_bytes; /* what `db load` announced */
    uint32_t loaded_bytes;
    bool fresh;    /* a whole input lies in the arena, and no run has used it */
    bool answered; /* `results` hold the output of a loaded input */
    uint32_t microseconds;
    uint32_t rest_cycles; /* less than a microsecond */
} mlperf;

void mlperf_start(uint32_t clock_hz, uint8_t *results, uint32_t capacity) {
    mlperf.clock_mhz = clock_hz / HZ_PER_MHZ;
    if (mlperf.clock_mhz == 0) {
        mlperf.clock_mhz = 1;
    }
    mlperf.results = results;
    mlperf.capacity = capacity;
    mlperf_forget();
}

void mlperf_forget(void) {
    mlperf.expected_bytes = 0;
    mlperf.loaded_bytes = 0;
    mlperf.fresh = false;
    mlperf.answered = false;
}

SMALL static void put_text(const char *text) {
    for (; *text != '\0'; ++text) {
        mlperf.write((uint8_t)*text);
    }
}

SMALL static void put_digits(uint32_t number, uint32_t least_digits) {
    char digits[MOST_DIGITS];
    uint32_t count = 0;
    while (number != 0 || count < least_digits) {
        digits[count] = (char)('0' + number % DECIMAL);
        number /= DECIMAL;
        count += 1;
    }
    while (count != 0) {
        count -= 1;
        mlperf.write((uint8_t)digits[count]);
    }
}

SMALL static void put_line(const char *before, uint32_t number, const char *after) {
    put_text(before);
    put_digits(number, 1);
    put_text(after);
    put_text("\r\n");
}

SMALL static const char *after_spaces(const char *text) {
    while (*text == ' ' || *text == '\r' || *text == '\n') {
        ++text;
    }
    return text;
}

/* The rest of `text` behind the word that it begins with; NULL if it begins with another. */
SMALL static const char *after_word(const char *text, const char *word) {
    for (; *word != '\0'; ++word, ++text) {
        if (*text != *word) {
            return NULL;
        }
    }
    return *text == ' ' || *text == '\0' ? after_spaces(text) : NULL;
}

/* Reads a decimal number and moves `text` behind it; false if there is none, or a huge one. */
SMALL static bool read_number(const char **text, uint32_t *number) {
    const char *digit = *text;
    *number = 0;
    while (*digit >= '0' && *digit <= '9') {
        *number = *number * DECIMAL + (uint32_t)(*digit - '0');
        if (*number > LARGEST_NUMBER) {
            return false;
        }
        ++digit;
    }
    if (digit == *text || (*digit != ' ' && *digit != '\0')) {
        return false;
    }
    *text = after_spaces(digit);
    return true;
}

SMALL static uint32_t nibble_of(char digit) {
    if (digit >= '0' && digit <= '9') {
        return (uint32_t)(digit - '0');
    }
    if (digit >= 'a' && digit <= 'f') {
        return (uint32_t)(digit - 'a') + DECIMAL;
    }
    if (digit >= 'A' && digit <= 'F') {
        return (uint32_t)(digit - 'A') + DECIMAL;
    }
    return NOT_HEXADECIMAL;
}

SMALL static void put_hash(void) {
    static const uint8_t hash[] = MODEL_HASH;
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < sizeof hash; ++i) {
        mlperf.write((uint8_t)digits[hash[i] >> NIBBLE_BITS]);
        mlperf.write((uint8_t)digits[hash[i] & 0x0Fu]);
    }
}

SMALL static void put_time(void) {
    put_line("m-lap-us-", mlperf.microseconds, "");
}

SMALL static void load(const char *arguments) {
    uint32_t count = 0;
    if (!read_number(&arguments, &count) || count == 0 || count > MODEL_INPUT_BYTES) {
        put_line("e-[db load takes 1 to ", MODEL_INPUT_BYTES, " bytes]");
        return;
    }
    mlperf.expected_bytes = count;
    mlperf.loaded_bytes = 0;
    mlperf.fresh = false;
    put_line("m-[Expecting ", count, " bytes]");
}

/* As in the reference, digits beyond the last expected byte are not looked at. */
SMALL static void take_digits(const char *digit) {
    while (mlperf.loaded_bytes < mlperf.expected_bytes && *digit != '\0') {
        uint32_t high = nibble_of(digit[0]);
        uint32_t low = high == NOT_HEXADECIMAL ? NOT_HEXADECIMAL : nibble_of(digit[1]);
        if (low == NOT_HEXADECIMAL) {
            put_text("e-[Invalid or missing hex digit]\r\n");
            return;
        }
        model_input()[mlperf.loaded_bytes] = (int8_t)(uint8_t)(high << NIBBLE_BITS | low);
        mlperf.loaded_bytes += 1;
        digit += 2;
        if (mlperf.loaded_bytes == mlperf.expected_bytes) {
            mlperf.fresh = true;
            put_text("m-load-done\r\n");
        }
    }
}

SMALL static void buffer(const char *arguments) {
    const char *rest = after_word(arguments, "load");
    if (rest != NULL) {
        load(rest);
    } else if (*arguments == '\0') {
        put_text("e-[Command 'db' requires a subcommand]\r\n");
    } else if (mlperf.loaded_bytes >= mlperf.expected_bytes) {
        put_text("e-[No bytes are expected: db load first]\r\n");
    } else {
        take_digits(arguments);
    }
}

SMALL static void keep_results(void) {
    if (mlperf.fresh && MODEL_OUTPUT_BYTES <= mlperf.capacity) {
        memcpy(mlperf.results, model_output(), MODEL_OUTPUT_BYTES);
        mlperf.answered = true;
    }
    mlperf.fresh = false;
}

SMALL static void put_real(int8_t integer) {
    int32_t steps = integer - (MODEL_OUTPUT_ZERO_POINT);
    if (steps < 0) {
        put_text("-");
        steps = -steps;
    }
    uint64_t scaled = (uint32_t)steps * THOUSANDTHS_PER_STEP + (1u << (FRACTION_BITS - 1u));
    uint32_t thousandths = (uint32_t)(scaled >> FRACTION_BITS);
    put_digits(thousandths / THOUSAND, 1);
    put_text(".");
    put_digits(thousandths % THOUSAND, DECIMAL_PLACES);
}

SMALL static void put_results(void) {
    if (!mlperf.answered) {
        put_text("e-[No results: load an input and infer]\r\n");
        return;
    }
    put_text("m-results-[");
    for (uint32_t i = 0; i < MODEL_OUTPUT_BYTES; ++i) {
        put_text(i == 0 ? "" : ",");
        put_real((int8_t)mlperf.results[i]);
    }
    put_text("]\r\n");
}

SMALL static void run_timed(void) {
    cycle_counter_start();
    model_run();
    uint32_t cycles = cycle_counter_stop() + mlperf.rest_cycles;
    mlperf.microseconds += cycles / mlperf.clock_mhz;
    mlperf.rest_cycles = cycles % mlperf.clock_mhz;
}

SMALL static void infer(const char *arguments) {
    uint32_t runs = 1;
    uint32_t warm_up_runs = DEFAULT_WARM_UP_RUNS;
    if (*arguments != '\0' && (!read_number(&arguments, &runs) || runs == 0)) {
        put_text("e-[Inference iterations must be >0]\r\n");
        return;
    }
    if (*arguments != '\0' && !read_number(&arguments, &warm_up_runs)) {
        put_text("e-[Inference warmup must be >=0]\r\n");
        return;
    }
    put_line("m-warmup-start-", warm_up_runs, "");
    for (uint32_t i = 0; i < warm_up_runs; ++i) {
        model_run();
        keep_results();
    }
    put_text("m-warmup-done\r\n");
    put_line("m-infer-start-", runs, "");
    put_time();
    for (uint32_t i = 0; i < runs; ++i) {
        run_timed();
        keep_results();
    }
    put_time();
    put_text("m-infer-done\r\n");
    put_results();
}

SMALL static void carry_out(const char *command) {
    const char *arguments;
    if (after_word(command, "name") != NULL) {
        put_text("m-name-dut-[automcu]\r\n");
    } else if (after_word(command, "timestamp") != NULL) {
        put_time();
    } else if (after_word(command, "profile") != NULL) {
        put_text("m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[");
        put_hash();
        put_text("]\r\n");
    } else if ((arguments = after_word(command, "db")) != NULL) {
        buffer(arguments);
    } else if ((arguments = after_word(command, "infer")) != NULL) {
        infer(arguments);
    } else if (after_word(command, "results") != NULL) {
        put_results();
    } else {
        put_text("e-[Unknown command: ");
        put_text(command);
        put_text("]\r\n");
    }
}

SMALL void mlperf_answer(const char *command, void (*write)(uint8_t byte)) {
    mlperf.write = write;
    carry_out(after_spaces(command));
    put_text("m-ready\r\n");
}
