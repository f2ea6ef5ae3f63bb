/* The hot half of the timing model: what Unicorn calls for every basic block and every flash read.
 *
 * tests/boards/python_accounting.py adds up the same numbers and says in a few lines what they mean;
 * this is about a hundred times as fast. Python allocates all memory, times a block when it is first
 * met (`request_block`), and reads the totals. No library is needed. */
#include <stdint.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#define MAX_FLASH_RANGES 4u
#define CONTINUES 1u /* in a block's key: addresses of Thumb code are even */
#define NO_LINE UINT32_MAX
#define HASH_MULTIPLIER 2654435761u /* Knuth, The Art of Computer Programming 3, section 6.4 */
#define IF_THEN_BITS 0x0600FC00u    /* of the XPSR (DDI 0403, section B1.4.2) */

typedef struct {
    uint32_t address;
    uint32_t size;
    uint32_t first_line;
} FlashRange;

typedef struct {
    uint32_t key;
    uint32_t size; /* in bytes; 0: this slot of the table is free */
    uint32_t instructions;
    uint32_t cycles;
    uint32_t taken_penalty;
    uint32_t first_line;
    uint32_t line_count;
    uint32_t line_cycles; /* index into Accounting.line_cycles */
} Block;

/* The lines held, linked from the one used last to the one used longest ago. Lines and slots are
 * stored plus one, so that zeroed memory is an empty cache. */
typedef struct {
    uint32_t capacity;
    uint32_t used;
    uint32_t newest;
    uint32_t oldest;
    uint32_t *slot_of_line;
    uint32_t *line_of_slot;
    uint32_t *newer;
    uint32_t *older;
} LineCache;

typedef int (*RegisterAccess)(void *engine, int register_number, void *value);

typedef struct {
    uint64_t instructions;
    uint64_t core_cycles;
    uint64_t fetch_stalls;
    uint64_t read_stalls;
    uint64_t cycles_before_block;
    uint32_t block_address;
    uint32_t block_size;
    uint32_t block_continues;
    uint32_t taken_penalty;

    uint32_t current_line;
    uint32_t cycles_in_line;

    uint32_t range_count;
    FlashRange ranges[MAX_FLASH_RANGES];
    uint32_t line_bytes;
    uint32_t wait_states;
    LineCache instruction_cache;
    LineCache data_cache;

    Block *blocks; /* hash table with open addressing */
    uint32_t block_capacity; /* a power of two */
    uint32_t blocks_used;
    uint32_t *line_cycles;
    uint32_t line_cycles_capacity;
    uint32_t line_cycles_used;

    /* Python's answer to request_block; its line_cycles are already appended to the row above. */
    Block requested;
    void (*request_block)(uint32_t address, uint32_t size, uint32_t continues);

    RegisterAccess read_register;
    RegisterAccess write_register;
    int program_status_register;
} Accounting;

/* Lets Python see that its idea of the layout is this one. */
EXPORT uint32_t accounting_bytes(void) {
    return (uint32_t)sizeof(Accounting);
}

static uint32_t line_at(const Accounting *accounting, uint32_t address) {
    for (uint32_t i = 0; i < accounting->range_count; ++i) {
        const FlashRange *range = &accounting->ranges[i];
        uint32_t offset = address - range->address; /* wraps round below the range */
        if (offset < range->size) {
            return range->first_line + offset / accounting->line_bytes;
        }
    }
    return NO_LINE;
}

static void unlink_slot(LineCache *cache, uint32_t slot) {
    uint32_t newer = cache->newer[slot];
    uint32_t older = cache->older[slot];
    if (newer != 0) {
        cache->older[newer] = older;
    } else {
        cache->newest = older;
    }
    if (older != 0) {
        cache->newer[older] = newer;
    } else {
        cache->oldest = newer;
    }
}

static void link_newest(LineCache *cache, uint32_t slot) {
    cache->newer[slot] = 0;
    cache->older[slot] = cache->newest;
    if (cache->newest != 0) {
        cache->newer[cache->newest] = slot;
    } else {
        cache->oldest = slot;
    }
    cache->newest = slot;
}

/* Uses a line; returns whether it was held already. */
static int touch(LineCache *cache, uint32_t line) {
    uint32_t slot = cache->slot_of_line[line];
    int held = slot != 0;
    if (held && slot == cache->newest) {
        return 1;
    }
    if (held) {
        unlink_slot(cache, slot);
    } else if (cache->used < cache->capacity) {
        cache->used += 1;
        slot = cache->used;
    } else {
        slot = cache->oldest;
        unlink_slot(cache, slot);
        cache->slot_of_line[cache->line_of_slot[slot]] = 0;
    }
    cache->slot_of_line[line] = slot;
    cache->line_of_slot[slot] = line;
    link_newest(cache, slot);
    return held;
}

static uint32_t stall_entering(Accounting *accounting, uint32_t line) {
    if (touch(&accounting->instruction_cache, line)) {
        return 0;
    }
    if (accounting->current_line != NO_LINE && line == accounting->current_line + 1u) {
        uint32_t covered = accounting->cycles_in_line;
        return covered < accounting->wait_states ? accounting->wait_states - covered : 0;
    }
    return accounting->wait_states;
}

static void fetch(Accounting *accounting, const Block *block) {
    const uint32_t *cycles = accounting->line_cycles + block->line_cycles;
    for (uint32_t i = 0; i < block->line_count; ++i) {
        uint32_t line = block->first_line + i;
        if (line != accounting->current_line) {
            accounting->fetch_stalls += stall_entering(accounting, line);
            accounting->current_line = line;
            accounting->cycles_in_line = 0;
        }
        accounting->cycles_in_line += cycles[i];
    }
}

/* The slot of the block with this key, or the free one where it belongs. */
static Block *find_block(Accounting *accounting, uint32_t key) {
    uint32_t mask = accounting->block_capacity - 1u;
    uint32_t slot = (key * HASH_MULTIPLIER >> 8) & mask;
    while (accounting->blocks[slot].size != 0 && accounting->blocks[slot].key != key) {
        slot = (slot + 1u) & mask;
    }
    return &accounting->blocks[slot];
}

static void forget_blocks(Accounting *accounting) {
    for (uint32_t i = 0; i < accounting->block_capacity; ++i) {
        accounting->blocks[i].size = 0;
    }
    accounting->blocks_used = 0;
    accounting->line_cycles_used = 0;
}

static const Block *learn_block(Accounting *accounting, uint32_t address, uint32_t size,
                                uint32_t continues) {
    uint32_t lines = size / accounting->line_bytes + 2u;
    if (accounting->blocks_used > accounting->block_capacity / 2u ||
        accounting->line_cycles_used + lines > accounting->line_cycles_capacity) {
        forget_blocks(accounting);
    }
    accounting->request_block(address, size, continues);
    Block *block = find_block(accounting, address | continues);
    if (block->size == 0) {
        accounting->blocks_used += 1;
    }
    *block = accounting->requested;
    accounting->line_cycles_used += block->line_count;
    return block;
}

/* Unicorn's UC_HOOK_BLOCK */
EXPORT void accounting_on_block(void *engine, uint64_t address64, uint32_t size, void *user_data) {
    (void)engine;
    Accounting *accounting = user_data;
    uint32_t address = (uint32_t)address64;
    uint32_t continues = CONTINUES;
    if (address != accounting->block_address + accounting->block_size) {
        accounting->core_cycles += accounting->taken_penalty;
        continues = 0;
    }
    const Block *block = find_block(accounting, address | continues);
    if (block->size != size) {
        block = learn_block(accounting, address, size, continues);
    }
    accounting->block_address = address;
    accounting->block_size = size;
    accounting->block_continues = continues;
    accounting->cycles_before_block =
        accounting->core_cycles + accounting->fetch_stalls + accounting->read_stalls;
    accounting->instructions += block->instructions;
    accounting->core_cycles += block->cycles;
    accounting->taken_penalty = block->taken_penalty;
    fetch(accounting, block);
}

/* Undoes what Unicorn 2.1.4 leaves behind when it calls a memory hook inside an IT block: it stores
 * the IT bits so that the hook can see them. The translated block goes on without looking at them,
 * but the next one would take its first instructions for conditional ones. */
static void leave_if_then_to_the_translation(const Accounting *accounting, void *engine) {
    uint32_t state = 0;
    accounting->read_register(engine, accounting->program_status_register, &state);
    if ((state & IF_THEN_BITS) != 0) {
        state &= ~IF_THEN_BITS;
        accounting->write_register(engine, accounting->program_status_register, &state);
    }
}

/* Unicorn's UC_HOOK_MEM_READ */
EXPORT void accounting_on_read(void *engine, int access, uint64_t address64, int size,
                               int64_t value, void *user_data) {
    (void)access;
    (void)value;
    Accounting *accounting = user_data;
    uint32_t address = (uint32_t)address64;
    uint32_t line = line_at(accounting, address);
    uint32_t last = line_at(accounting, address + (uint32_t)size - 1u);
    if (line != NO_LINE && last != NO_LINE) {
        for (; line <= last; ++line) {
            if (!touch(&accounting->data_cache, line)) {
                accounting->read_stalls += accounting->wait_states;
            }
        }
    }
    leave_if_then_to_the_translation(accounting, engine);
}
