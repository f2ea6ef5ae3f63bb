/* The Cortex-M7's level 1 caches (Cortex-M7 Technical Reference Manual, DDI 0489, chapter 4;
 * the order of steps is that of DDI 0403, section B2.2). Compiled for that core only. */
#include "caches.h"

#include "cortex_m.h"

/* CCSIDR and DCISW fields (DDI 0403, sections B4.8.1 and B4.8.4) */
#define CCSIDR_SETS_SHIFT 13u
#define CCSIDR_SETS_MASK 0x7FFFu
#define CCSIDR_WAYS_SHIFT 3u
#define CCSIDR_WAYS_MASK 0x3FFu
#define DCISW_SET_SHIFT 5u  /* lines of 32 bytes */
#define DCISW_WAY_SHIFT 30u /* four ways */

static void invalidate_data_cache(void) {
    SCB_CSSELR = 0; /* level 1, data */
    data_barrier();
    uint32_t size = SCB_CCSIDR;
    uint32_t last_set = (size >> CCSIDR_SETS_SHIFT) & CCSIDR_SETS_MASK;
    uint32_t last_way = (size >> CCSIDR_WAYS_SHIFT) & CCSIDR_WAYS_MASK;
    for (uint32_t set = 0; set <= last_set; ++set) {
        for (uint32_t way = 0; way <= last_way; ++way) {
            SCB_DCISW = set << DCISW_SET_SHIFT | way << DCISW_WAY_SHIFT;
        }
    }
}

static void invalidate_instruction_cache(void) {
    SCB_ICIALLU = 0;
}

void caches_enable(void) {
    invalidate_instruction_cache();
    invalidate_data_cache();
    data_barrier();
    SCB_CCR |= CCR_INSTRUCTION_CACHE | CCR_DATA_CACHE;
    data_barrier();
    instruction_barrier();
}
