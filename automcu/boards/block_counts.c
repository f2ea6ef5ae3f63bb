/* A QEMU plugin that counts how often basic blocks are executed, and how often they are left by a
 * jump.
 *
 * Counts are kept by section of the run: a section ends when the block at the address `marker` is
 * entered. Blocks from `skip_begin` up to `skip_end` are not seen at all. The file `out` gets, for
 * each block, a line "block INDEX ADDRESS COUNT" and "BYTES TEXT" for each of its COUNT
 * instructions; for each section a line "section", then "INDEX ENTERED LEFT REACHED": executions,
 * those after which the instruction behind was not the next, and those that a jump led to.
 *
 * No header of QEMU is packaged: these declarations follow its documentation, "QEMU TCG Plugins",
 * API version 1. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

typedef void (*translation_callback)(qemu_plugin_id_t id, struct qemu_plugin_tb *translation);
typedef void (*execution_callback)(unsigned int core, void *data);
typedef void (*end_callback)(qemu_plugin_id_t id, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translation_callback callback);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *translation,
                                          execution_callback callback,
                                          enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, end_callback callback, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *translation);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *translation);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *translation,
                                                 size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *instruction);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *instruction);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *instruction);

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int qemu_plugin_version = 1;
EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int count,
                                 char **arguments);

typedef struct block {
    struct block *next;
    uint64_t address;
    uint64_t size;
    unsigned int index;
    uint64_t entered;
    uint64_t left;
    uint64_t reached;
} block;

static block *blocks;
static block *last;
static unsigned int block_count;
static uint64_t marker;
static uint64_t skip_begin;
static uint64_t skip_end;
static FILE *out;

static void end_section(void) {
    (void)fprintf(out, "section\n");
    for (block *b = blocks; b != NULL; b = b->next) {
        if (b->entered != 0 || b->left != 0) {
            (void)fprintf(out, "%u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", b->index, b->entered,
                          b->left, b->reached);
        }
        b->entered = 0;
        b->left = 0;
        b->reached = 0;
    }
}

static void on_execution(unsigned int core, void *data) {
    block *now = data;
    (void)core;
    if (now->address == marker) {
        end_section();
    }
    if (last != NULL && last->address + last->size != now->address) {
        last->left++;
        now->reached++;
    }
    now->entered++;
    last = now;
}

static void write_instruction(const struct qemu_plugin_insn *instruction, size_t size) {
    const unsigned char *bytes = qemu_plugin_insn_data(instruction);
    char *text = qemu_plugin_insn_disas(instruction);
    for (size_t i = 0; i < size; ++i) {
        (void)fprintf(out, "%02x", bytes[i]);
    }
    (void)fprintf(out, " %s\n", text == NULL ? "" : text);
    free(text);
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *translation) {
    uint64_t address = qemu_plugin_tb_vaddr(translation);
    size_t count = qemu_plugin_tb_n_insns(translation);
    block *made;
    (void)id;
    if (address >= skip_begin && address < skip_end) {
        return;
    }
    made = calloc(1, sizeof *made);
    if (made == NULL) {
        abort();
    }
    made->address = address;
    made->index = block_count++;
    made->next = blocks;
    blocks = made;
    (void)fprintf(out, "block %u %" PRIu64 " %zu\n", made->index, address, count);
    for (size_t i = 0; i < count; ++i) {
        const struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(translation, i);
        size_t size = qemu_plugin_insn_size(instruction);
        write_instruction(instruction, size);
        made->size += size;
    }
    qemu_plugin_register_vcpu_tb_exec_cb(translation, on_execution, QEMU_PLUGIN_CB_NO_REGS, made);
}

static void on_end(qemu_plugin_id_t id, void *data) {
    (void)id;
    (void)data;
    end_section();
    (void)fclose(out);
}

static bool read_number(const char *argument, const char *name, uint64_t *number) {
    size_t length = strlen(name);
    if (strncmp(argument, name, length) != 0) {
        return false;
    }
    *number = strtoull(argument + length, NULL, 0);
    return true;
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int count,
                        char **arguments) {
    (void)info;
    for (int i = 0; i < count; ++i) {
        if (strncmp(arguments[i], "out=", 4) == 0) {
            out = fopen(arguments[i] + 4, "w");
        } else if (!read_number(arguments[i], "marker=", &marker) &&
                   !read_number(arguments[i], "skip_begin=", &skip_begin) &&
                   !read_number(arguments[i], "skip_end=", &skip_end)) {
            return 1;
        }
    }
    if (out == NULL) {
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
