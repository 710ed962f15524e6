/* SPDX-License-Identifier: MIT */
/*
 * Translation of 39-bit addresses: a table of 1 GiB entries, below it tables of 2 MiB blocks,
 * and of 4 KiB pages where permissions change inside 2 MiB. Everything belongs to EL1.
 */
#include "pages.h"

#include <stdbool.h>

#include "cpu.h"
#include "guest.h"
#include "mmu.h"

#define GIB         0x40000000u
#define ADDRESS     0xfffffffff000u

enum { ENTRIES = 512, TABLES = 16 };
enum { IS_BLOCK = 1, IS_TABLE = 3, IS_PAGE = 3, KIND = 3 };

/* head.S sets MAIR_EL1: 0 is normal memory, write-back; 1 is device memory. */
#define USED        (1u << 10)
#define SHARED      (3u << 8)
#define READ_ONLY   (1u << 7)
#define NO_EXECUTE  (3ull << 53)            /* neither EL1 nor EL0 */
#define NO_EL0      (1ull << 54)

static const uint64_t attributes[] = {
    [TEXT]      = USED | SHARED | READ_ONLY | NO_EL0,
    [CONSTANT]  = USED | SHARED | READ_ONLY | NO_EXECUTE,
    [DATA]      = USED | SHARED | NO_EXECUTE,
    [DEVICE]    = USED | SHARED | NO_EXECUTE | 1 << 2,
};

extern uint64_t boot_linked[];

static uint64_t root[ENTRIES] __attribute__((aligned(PAGE)));
static uint64_t tables[TABLES][ENTRIES] __attribute__((aligned(PAGE)));
static unsigned int tables_used;

/* The table below an entry. If that was a block of 2 MiB, it is split first. */
static uint64_t *table_below(uint64_t *entry)
{
    uint64_t *table;

    if ((*entry & KIND) == IS_TABLE)
        return (uint64_t *)((*entry & ADDRESS) - mmu_physical(NULL));
    if (tables_used == TABLES)
        guest_panic("mmu: no translation table left");
    table = tables[tables_used++];
    for (uint64_t i = 0; *entry && i < ENTRIES; i++)
        table[i] = (*entry + i * PAGE) | IS_PAGE;
    *entry = mmu_physical(table) | IS_TABLE;
    return table;
}

static uint64_t descriptor(uint64_t physical, enum access access, uint64_t kind)
{
    return access == NO_ACCESS ? 0 : physical | attributes[access] | kind;
}

void pages_map(uintptr_t address, uint64_t physical, uintptr_t size, enum access access)
{
    uintptr_t step;

    for (; size; size -= step, address += step, physical += step) {
        bool whole = !((address | physical) & (BLOCK - 1)) && size >= BLOCK;
        uint64_t *block = &table_below(&root[address / GIB])[address / BLOCK % ENTRIES];

        step = whole ? BLOCK : PAGE;
        if (whole)
            *block = descriptor(physical, access, IS_BLOCK);
        else
            table_below(block)[address / PAGE % ENTRIES] = descriptor(physical, access, IS_PAGE);
    }
}

void pages_flush(void)
{
    __asm__ volatile("dsb ish\n\ttlbi vmalle1\n\tdsb ish\n\tisb" ::: "memory");
}

/* The last GiB, which the image and its device tree leave free. */
volatile void *mmu_boot_map(uint64_t physical)
{
    uintptr_t address = (uintptr_t)(ENTRIES - 1) * GIB;

    boot_linked[ENTRIES - 1] = descriptor(physical & ~(uint64_t)(GIB - 1), DEVICE, IS_BLOCK);
    pages_flush();
    return (volatile void *)(address + physical % GIB);
}

void pages_use(void)
{
    uint64_t value;

    __asm__ volatile("dsb ish\n\tmsr ttbr0_el1, %0\n\tisb" :: "r"(mmu_physical(root)) : "memory");
    __asm__ volatile("mrs %0, tcr_el1" : "=r"(value));
    value |= 1u << 23;                                          /* EPD1: no upper half */
    __asm__ volatile("msr tcr_el1, %0\n\tisb" :: "r"(value));
    __asm__ volatile("mrs %0, sctlr_el1" : "=r"(value));
    value |= 1u << 19;                                          /* WXN */
    __asm__ volatile("msr sctlr_el1, %0\n\tisb" :: "r"(value) : "memory");
    pages_flush();
}
