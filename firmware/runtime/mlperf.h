/* The MLPerf Tiny benchmark's serial protocol: commands as text, each answered by lines and, at
 * last, "m-ready" (EEMBC's energy runner, and the interface of MLCommons' reference firmware).
 *
 *   name%                 m-name-dut-[automcu]
 *   profile%              m-profile-[...], m-model-[the project's hash]
 *   timestamp%            m-lap-us-N: microseconds of inference counted so far
 *   db load N%            the next `db` commands bring N bytes of input
 *   db HHHH...%           input as hexadecimal digits, in as many commands as it takes
 *   infer N [W]%          W warm-up runs, N timed runs between two time stamps, then results
 *   results%              m-results-[real values]
 *
 * Inputs are the network's own int8. Unlike the reference, nothing is sent before the host asks,
 * and there is no copy of the input, which would cost as much memory again: the first run after
 * loading gives the results, and those after it only time. */
#ifndef AUTOMCU_MLPERF_H
#define AUTOMCU_MLPERF_H

#include <stdint.h>

/* `results` is where outputs are kept between commands, `capacity` bytes long. */
void mlperf_start(uint32_t clock_hz, uint8_t *results, uint32_t capacity);

/* Input and results may be gone: something else has used the arena, or the place for results. */
void mlperf_forget(void);

/* Carries out one command, a text ended by zero, and writes all of its answer. */
void mlperf_answer(const char *command, void (*write)(uint8_t byte));

#endif
