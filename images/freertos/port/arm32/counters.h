/* SPDX-License-Identifier: MIT */
/* The generic timer's registers; arm64/counters.h says the same for the other width. */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <stdint.h>

static inline uint64_t virtual_count(void)
{
    uint64_t value;

    __asm__ volatile("isb\n\tmrrc p15, 1, %Q0, %R0, c14" : "=r"(value) :: "memory");
    return value;
}

static inline uint64_t physical_count(void)
{
    uint64_t value;

    __asm__ volatile("isb\n\tmrrc p15, 0, %Q0, %R0, c14" : "=r"(value) :: "memory");
    return value;
}

static inline uint32_t count_frequency(void)
{
    uint32_t hz;

    __asm__ volatile("mrc p15, 0, %0, c14, c0, 0" : "=r"(hz));
    return hz;
}

/* The virtual timer fires at this count, once: its control register is written too. */
static inline void virtual_timer_at(uint64_t count)
{
    __asm__ volatile("mcrr p15, 3, %Q0, %R0, c14" :: "r"(count));
    __asm__ volatile("mcr p15, 0, %0, c14, c3, 1\n\tisb" :: "r"(1));
}

/* The physical timer fires after so many counts; stopped, it does not. */
static inline void physical_timer_after(uint32_t counts)
{
    __asm__ volatile("mcr p15, 0, %0, c14, c2, 0" :: "r"(counts));
    __asm__ volatile("mcr p15, 0, %0, c14, c2, 1\n\tisb" :: "r"(1));
}

static inline void physical_timer_stop(void)
{
    __asm__ volatile("mcr p15, 0, %0, c14, c2, 1\n\tisb" :: "r"(0));
}

#endif
