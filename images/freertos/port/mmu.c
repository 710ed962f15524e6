/* SPDX-License-Identifier: MIT */
/* Which memory may be what; pages.c writes it into the tables of a width. */
#include "mmu.h"

#include "guest.h"
#include "pages.h"

extern char __text_start[], __text_end[], __rodata_end[];
extern char __guard_svc[], __guard_irq[], __guard_fault[];

static uintptr_t distance;
static uintptr_t io_next = IO_START;

uint64_t mmu_physical(const void *address)
{
    return (uintptr_t)address + distance;
}

static void map_image(const char *from, const char *to, enum access access)
{
    pages_map((uintptr_t)from, mmu_physical(from), to - from, access);
}

void mmu_init(uintptr_t physical_distance, uint64_t ram_base, uint64_t ram_size)
{
    uintptr_t start = (uintptr_t)ram_base - physical_distance;
    uintptr_t room = IO_START - start;

    distance = physical_distance;
    pages_map(start, ram_base, ram_size < room ? (uintptr_t)ram_size & ~(uintptr_t)(PAGE - 1) : room, DATA);
    map_image(__text_start, __text_end, TEXT);
    map_image(__text_end, __rodata_end, CONSTANT);
    map_image(__guard_svc, __guard_svc + PAGE, NO_ACCESS);
    map_image(__guard_irq, __guard_irq + PAGE, NO_ACCESS);
    map_image(__guard_fault, __guard_fault + PAGE, NO_ACCESS);
    pages_use();
}

void *mmu_map(uint64_t physical, size_t size, enum mmu_kind kind)
{
    uint32_t offset = physical % PAGE;
    uintptr_t address = io_next;

    size = (size + offset + PAGE - 1) & ~(size_t)(PAGE - 1);
    if (size >= BLOCK)      /* so that whole blocks need no table of pages */
        address = ((address + BLOCK - 1) & ~(uintptr_t)(BLOCK - 1)) + (physical & (BLOCK - 1) & ~(uint64_t)(PAGE - 1));
    if ((uintptr_t)physical != physical || address > IO_END || size > IO_END - address)
        guest_panic("mmu: cannot map %llx", (unsigned long long)physical);
    pages_map(address, physical - offset, size, kind == MMU_DEVICE ? DEVICE : DATA);
    io_next = address + size;
    pages_flush();
    return (void *)(address + offset);
}
