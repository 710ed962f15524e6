/* SPDX-License-Identifier: MIT */
/*
 * Short-descriptor translation: one table of 1 MiB entries, and tables of 4 KiB
 * pages where permissions change inside a MiB. Everything is privileged; the
 * domain is a client, so permissions are checked.
 */
#include "pages.h"

#include <stdbool.h>

#include "cpu.h"
#include "guest.h"
#include "mmu.h"

#define MIB         0x100000u

enum { TABLES = 8 };

/* The same five facts, at different bits in the two descriptors. */
static const struct { uint32_t section, page; } descriptor[] = {
    /* Normal memory: TEX 001, C, B, shareable. Device: B, shareable. */
    [NO_ACCESS] = { 0, 0 },
    [TEXT]      = { 0x1940e, 0x65e },
    [CONSTANT]  = { 0x1941e, 0x65f },
    [DATA]      = { 0x1141e, 0x45f },
    [DEVICE]    = { 0x10416, 0x417 },
};

extern uint32_t boot_l1[];

static uint32_t sections[4096] __attribute__((aligned(16384)));
static uint32_t tables[TABLES][256] __attribute__((aligned(1024)));
static unsigned int tables_used;

/* The page table of this MiB. If it was one section of plain data, that is split first. */
static uint32_t *page_table(uint32_t address)
{
    uint32_t *section = &sections[address / MIB];
    uint32_t *table;

    if ((*section & 3) == 1)
        return (uint32_t *)((*section & ~0x3ffu) - (uint32_t)mmu_physical(NULL));
    if (tables_used == TABLES)
        guest_panic("mmu: no page table left for %x", (unsigned int)address);
    table = tables[tables_used++];
    for (uint32_t i = 0; *section && i < 256; i++)
        table[i] = ((*section & ~(MIB - 1)) + i * PAGE) | descriptor[DATA].page;
    *section = (uint32_t)mmu_physical(table) | 1;
    return table;
}

void pages_map(uintptr_t address, uint64_t physical_address, uintptr_t size, enum access access)
{
    uint32_t physical = (uint32_t)physical_address, step;

    for (; size; size -= step, address += step, physical += step) {
        bool whole = !((address | physical) & (MIB - 1)) && size >= MIB;

        step = whole ? MIB : PAGE;
        if (whole)
            sections[address / MIB] = physical | descriptor[access].section;
        else
            page_table(address)[address / PAGE % 256] =
                access == NO_ACCESS ? 0 : physical | descriptor[access].page;
    }
}

void pages_flush(void)
{
    __asm__ volatile("dsb\n\tmcr p15, 0, %0, c8, c7, 0\n\tdsb\n\tisb" :: "r"(0) : "memory");
}

volatile void *mmu_boot_map(uint64_t physical)
{
    boot_l1[IO_START / MIB] = ((uint32_t)physical & ~(MIB - 1)) | descriptor[DEVICE].section;
    pages_flush();
    return (volatile void *)(IO_START + (uint32_t)physical % MIB);
}

void pages_use(void)
{
    uint32_t control;
    uint32_t table = (uint32_t)mmu_physical(sections) | 0x4a;   /* walks: write-back, shareable */

    barrier_sync();
    __asm__ volatile("mcr p15, 0, %0, c2, c0, 0\n\tisb" :: "r"(table) : "memory");
    pages_flush();
    __asm__ volatile("mrc p15, 0, %0, c1, c0, 0" : "=r"(control));
    control |= 1u << 19;                                        /* WXN */
    __asm__ volatile("mcr p15, 0, %0, c1, c0, 0\n\tisb" :: "r"(control) : "memory");
    pages_flush();
}
