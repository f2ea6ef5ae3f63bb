/* Feeds the firmware's parsers and commands with damaged and random bytes: built with sanitizers,
 * it ends at the first access or operation that C does not define.
 *
 *     parser_fuzz INPUTS SEED
 *
 * An input is noise, text, a frame with random content, or such a frame with damage. Prints how
 * many inputs were fed, how many frames arrived intact, and how many answers were given. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "link.h"
#include "mlperf.h"
#include "text_line.h"

#define LONGEST_INPUT (LINK_MAX_PAYLOAD + 64u)
#define COMMANDS 10u /* one more than there are, and none */
#define CLOCK_HZ 100000000u

static Link serial_link;
static TextLine text_line;
static uint64_t state;
static uint8_t wire[2u * LONGEST_INPUT];
static uint32_t wire_bytes;
static uint64_t answers;
static uint64_t answer_frames;

/* xorshift64* (Vigna, ACM Transactions on Mathematical Software 42(4), 2016) */
static uint32_t any(uint32_t limit) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Dull) >> 32) % limit;
}

static void to_wire(uint8_t byte) {
    wire[wire_bytes] = byte;
    wire_bytes += 1;
}

static void count_answer(uint8_t byte) {
    answer_frames += byte == COBS_FRAME_END;
}

static void ignore(uint8_t byte) {
    (void)byte;
}

static void random_bytes(uint8_t *bytes, uint32_t length) {
    for (uint32_t i = 0; i < length; ++i) {
        bytes[i] = (uint8_t)any(256);
    }
}

/* Mostly short, as commands are; sometimes as long as it gets, and longer. */
static uint32_t any_length(void) {
    return any(8) != 0 ? any(16) : any(LINK_MAX_PAYLOAD + 1u);
}

static void put_noise(void) {
    uint32_t length = any(8) != 0 ? any(64) : any(LONGEST_INPUT);
    random_bytes(wire, length);
    wire_bytes = length;
    to_wire(COBS_FRAME_END);
}

/* Words of the protocol in any order; runs are few. */
static void put_text(void) {
    static const char *const words[] = {"name",  "db",  "load", "infer", "results", "profile",
                                        "00ff7F", "64", "4",    "1",     "zz",      "99999999999"};
    to_wire(COBS_FRAME_END);
    for (uint32_t count = any(5); count != 0; --count) {
        const char *word = words[any(sizeof words / sizeof words[0])];
        for (; *word != '\0'; ++word) {
            to_wire((uint8_t)*word);
        }
        to_wire(' ');
    }
    to_wire('%');
}

static void put_frame(void) {
    static Link sender;
    uint32_t length = any_length();
    random_bytes(sender.payload, length);
    if (length != 0) {
        sender.payload[0] = (uint8_t)any(COMMANDS);
    }
    if (length >= 6 && any(2) != 0) { /* small offsets and counts get further */
        memset(sender.payload + 2, 0, 4);
        sender.payload[2] = (uint8_t)any(128);
    }
    link_send(&sender, length, to_wire);
}

static void damage(void) {
    for (uint32_t times = 1u + any(3); times != 0; --times) {
        uint32_t place = any(wire_bytes);
        switch (any(4)) {
        case 0:
            wire[place] ^= (uint8_t)(1u << any(8));
            break;
        case 1:
            wire[place] = COBS_FRAME_END;
            break;
        case 2:
            wire_bytes = place + 1u;
            break;
        default:
            memmove(wire + place, wire + place + 1, wire_bytes - place - 1u);
            wire_bytes -= wire_bytes > 1u;
            break;
        }
    }
}

/* True when the byte completed an intact frame. */
static bool take_frame_byte(uint8_t byte) {
    uint32_t length = link_receive(&serial_link, byte);
    if (length == 0) {
        return false;
    }
    Answer answer = answer_request(serial_link.payload, length);
    if (answer.bytes > LINK_MAX_PAYLOAD) {
        fprintf(stderr, "an answer of %" PRIu32 " bytes\n", answer.bytes);
        exit(EXIT_FAILURE);
    }
    if (answer.bytes != 0) {
        answers += 1;
        link_send(&serial_link, answer.bytes, count_answer);
    }
    return true;
}

/* As the firmware's main loop does it. */
static bool feed(void) {
    bool intact = false;
    for (uint32_t i = 0; i < wire_bytes; ++i) {
        TextEvent event = text_line_receive(&text_line, wire[i]);
        if (event == TEXT_HELD) {
            continue;
        }
        if (event == TEXT_COMMAND) {
            mlperf_answer(text_line.text, ignore);
        } else {
            for (uint32_t j = 0; j < text_line.length; ++j) {
                intact |= take_frame_byte((uint8_t)text_line.text[j]);
            }
            intact |= take_frame_byte(wire[i]);
        }
        text_line_clear(&text_line);
    }
    return intact;
}

int main(int argc, char **argv) {
    uint64_t inputs = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t intact = 0;
    state = 0x9E3779B97F4A7C15ull ^ (argc > 2 ? strtoull(argv[2], NULL, 10) : 0);
    commands_start(CLOCK_HZ);
    link_start(&serial_link);
    text_line_start(&text_line);
    mlperf_start(CLOCK_HZ, serial_link.payload, LINK_MAX_PAYLOAD);
    for (uint64_t i = 0; i < inputs; ++i) {
        wire_bytes = 0;
        uint32_t kind = any(8);
        if (kind < 2) {
            put_noise();
        } else if (kind == 2) {
            put_text();
        } else {
            put_frame();
            if (any(2) == 0) {
                damage();
            }
        }
        intact += feed();
    }
    if (answers != answer_frames) {
        fprintf(stderr, "%" PRIu64 " answers in %" PRIu64 " frames\n", answers, answer_frames);
        return EXIT_FAILURE;
    }
    printf("%" PRIu64 " inputs, %" PRIu64 " intact, %" PRIu64 " answers\n", inputs, intact, answers);
    return EXIT_SUCCESS;
}
