/* SPDX-License-Identifier: MIT */
#ifndef MMU_H
#define MMU_H

#include <stddef.h>
#include <stdint.h>

enum mmu_kind { MMU_DEVICE, MMU_NORMAL };

/*
 * Replaces the table of head.S: text read-only, constants read-only and not
 * executable, all other RAM writable and not executable, nothing else mapped.
 * `distance` is physical minus linked address.
 */
void mmu_init(uintptr_t distance, uint64_t ram_base, uint64_t ram_size);

/* Maps a device in the table of head.S, before mmu_init(); returns where `physical` is. */
volatile void *mmu_boot_map(uint64_t physical);

/* Maps `size` bytes at a physical address, writable, in whole pages; returns where. */
void *mmu_map(uint64_t physical, size_t size, enum mmu_kind kind);

uint64_t mmu_physical(const void *address);

#endif
