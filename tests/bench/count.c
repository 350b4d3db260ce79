/* Counts the guest's instructions, in a file that somebody else looks at meanwhile.
 *
 *   -plugin file=count.so,fd=N
 *
 * The descriptor is of a table. Its first row is all instructions so far; then comes one row for
 * each block of guest code, with the block's address and the instructions executed in it. Blocks of
 * one address share a row, and what finds no place is in the first one alone. QEMU adds in generated
 * code, which calls nothing.
 *
 * QEMU's plugin interface, version 1, as far as it is used here: Debian ships no header for it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
typedef void (*translated_t)(qemu_plugin_id_t, struct qemu_plugin_tb *);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, translated_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op, void *,
                                              uint64_t);

int qemu_plugin_version = 1;

#define ROWS (1u << 20)
static struct row {
    uint64_t address, instructions;
} *table;

/* Open addressing, by Fibonacci hashing; a row is never given back. None if there is no place. */
static struct row *row_of(uint64_t address)
{
    uint32_t at = (address * 0x9e3779b97f4a7c15u) >> 44;
    for (int tries = 0; tries < 64; tries++, at = (at + 1) % ROWS) {
        if (at == 0)
            continue;
        if (table[at].address == 0)
            table[at].address = address;
        if (table[at].address == address)
            return &table[at];
    }
    return NULL;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    size_t instructions = qemu_plugin_tb_n_insns(block);
    struct row *row = row_of(qemu_plugin_tb_vaddr(block));
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64,
                                             &table[0].instructions, instructions);
    if (row)
        qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64,
                                                 &row->instructions, instructions);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "fd=", 3) != 0)
        return 1;
    table = mmap(NULL, ROWS * sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED,
                 atoi(argv[0] + 3), 0);
    if (table == MAP_FAILED)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
