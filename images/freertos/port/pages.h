/* SPDX-License-Identifier: MIT */
/* What mmu.c asks of the translation tables of a width. */
#ifndef PAGES_H
#define PAGES_H

#include <stdint.h>

#define PAGE        0x1000u
#define BLOCK       0x200000u       /* whole entries of one table at both widths, if aligned */
#define IO_START    0xf0000000u     /* where mmu_map() puts things */
#define IO_END      0xfe000000u

/* Everything is privileged; what is not TEXT is never executed. */
enum access { NO_ACCESS, TEXT, CONSTANT, DATA, DEVICE };

/* Enters whole pages into the table of mmu_init(). */
void pages_map(uintptr_t address, uint64_t physical, uintptr_t size, enum access access);

/* From now on that table is the one in use, and what is writable cannot be executed (WXN). */
void pages_use(void);

/* What was changed in the table in use is seen. */
void pages_flush(void);

#endif
