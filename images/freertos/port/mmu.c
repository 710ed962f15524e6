/* SPDX-License-Identifier: MIT */
/*
 * Short-descriptor translation: one table of 1 MiB entries, and tables of 4 KiB
 * pages where permissions change inside a MiB. Everything is privileged; the
 * domain is a client, so permissions are checked.
 */
#include "mmu.h"

#include <stdbool.h>
#include <string.h>

#include "cpu.h"
#include "guest.h"

#define MIB         0x100000u
#define PAGE        0x1000u
#define IO_START    0xf0000000u     /* where mmu_map() puts things */
#define IO_END      0xfe000000u

enum { TABLES = 8 };

/* The same five facts, at different bits in the two descriptors. */
enum access { NO_ACCESS, TEXT, CONSTANT, DATA, DEVICE };

static const struct { uint32_t section, page; } descriptor[] = {
    /* Normal memory: TEX 001, C, B, shareable. Device: B, shareable. */
    [NO_ACCESS] = { 0, 0 },
    [TEXT]      = { 0x1940e, 0x65e },
    [CONSTANT]  = { 0x1941e, 0x65f },
    [DATA]      = { 0x1141e, 0x45f },
    [DEVICE]    = { 0x10416, 0x417 },
};

extern char __text_start[], __text_end[], __rodata_end[], __image_end[];
extern uint32_t boot_l1[];
extern char __guard_svc[], __guard_irq[], __guard_fault[];

static uint32_t sections[4096] __attribute__((aligned(16384)));
static uint32_t tables[TABLES][256] __attribute__((aligned(1024)));
static unsigned int tables_used;
static uint32_t distance;
static uint32_t io_next = IO_START;

uint64_t mmu_physical(const void *address)
{
    return (uint32_t)((uintptr_t)address + distance);
}

/* The page table of this MiB. If it was one section of plain data, that is split first. */
static uint32_t *page_table(uint32_t address)
{
    uint32_t *section = &sections[address / MIB];
    uint32_t *table;

    if ((*section & 3) == 1)
        return (uint32_t *)((*section & ~0x3ffu) - distance);
    if (tables_used == TABLES)
        guest_panic("mmu: no page table left for %x", (unsigned int)address);
    table = tables[tables_used++];
    for (uint32_t i = 0; *section && i < 256; i++)
        table[i] = ((*section & ~(MIB - 1)) + i * PAGE) | descriptor[DATA].page;
    *section = (uint32_t)mmu_physical(table) | 1;
    return table;
}

static void map(uint32_t address, uint32_t physical, uint32_t size, enum access access)
{
    uint32_t step;

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

static void flush_translations(void)
{
    __asm__ volatile("dsb\n\tmcr p15, 0, %0, c8, c7, 0\n\tdsb\n\tisb" :: "r"(0) : "memory");
}

volatile void *mmu_boot_map(uint64_t physical)
{
    boot_l1[IO_START / MIB] = ((uint32_t)physical & ~(MIB - 1)) | descriptor[DEVICE].section;
    flush_translations();
    return (volatile void *)(IO_START + (uint32_t)physical % MIB);
}

static void map_image(const char *from, const char *to, enum access access)
{
    map((uintptr_t)from, mmu_physical(from), to - from, access);
}

static void switch_tables(void)
{
    uint32_t control;
    uint32_t table = (uint32_t)mmu_physical(sections) | 0x4a;   /* walks: write-back, shareable */

    barrier_sync();
    __asm__ volatile("mcr p15, 0, %0, c2, c0, 0\n\tisb" :: "r"(table) : "memory");
    flush_translations();
    __asm__ volatile("mrc p15, 0, %0, c1, c0, 0" : "=r"(control));
    control |= 1u << 19;                                        /* WXN: writable is never executable */
    __asm__ volatile("mcr p15, 0, %0, c1, c0, 0\n\tisb" :: "r"(control) : "memory");
    flush_translations();
}

void mmu_init(uint32_t physical_distance, uint64_t ram_base, uint64_t ram_size)
{
    uint32_t start = (uint32_t)ram_base - physical_distance;
    uint32_t room = IO_START - start;

    distance = physical_distance;
    map(start, ram_base, ram_size < room ? (uint32_t)ram_size & ~(PAGE - 1) : room, DATA);
    map_image(__text_start, __text_end, TEXT);
    map_image(__text_end, __rodata_end, CONSTANT);
    map_image(__guard_svc, __guard_svc + PAGE, NO_ACCESS);
    map_image(__guard_irq, __guard_irq + PAGE, NO_ACCESS);
    map_image(__guard_fault, __guard_fault + PAGE, NO_ACCESS);
    switch_tables();
}

void *mmu_map(uint64_t physical, size_t size, enum mmu_kind kind)
{
    uint32_t offset = physical % PAGE;
    uint32_t address = io_next;

    size = (size + offset + PAGE - 1) & ~(PAGE - 1);
    if (size >= MIB)        /* so that whole MiB need no table */
        address = ((address + MIB - 1) & ~(MIB - 1)) + ((uint32_t)physical & (MIB - 1) & ~(PAGE - 1));
    if (physical >> 32 || address > IO_END || size > IO_END - address)
        guest_panic("mmu: cannot map %llx", (unsigned long long)physical);
    map(address, (uint32_t)physical - offset, size, kind == MMU_DEVICE ? DEVICE : DATA);
    io_next = address + size;
    flush_translations();
    return (void *)(address + offset);
}
