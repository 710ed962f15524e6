/* SPDX-License-Identifier: MIT */
/* The generic timer's registers; arm32/counters.h says the same for the other width. */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <stdint.h>

static inline uint64_t virtual_count(void)
{
    uint64_t value;

    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value) :: "memory");
    return value;
}

static inline uint64_t physical_count(void)
{
    uint64_t value;

    __asm__ volatile("isb\n\tmrs %0, cntpct_el0" : "=r"(value) :: "memory");
    return value;
}

static inline uint32_t count_frequency(void)
{
    uint64_t hz;

    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(hz));
    return (uint32_t)hz;
}

/* The virtual timer fires at this count, once: its control register is written too. */
static inline void virtual_timer_at(uint64_t count)
{
    __asm__ volatile("msr cntv_cval_el0, %0" :: "r"(count));
    __asm__ volatile("msr cntv_ctl_el0, %0\n\tisb" :: "r"(1UL));
}

/* The physical timer fires after so many counts; stopped, it does not. */
static inline void physical_timer_after(uint32_t counts)
{
    __asm__ volatile("msr cntp_tval_el0, %0" :: "r"((uint64_t)counts));
    __asm__ volatile("msr cntp_ctl_el0, %0\n\tisb" :: "r"(1UL));
}

static inline void physical_timer_stop(void)
{
    __asm__ volatile("msr cntp_ctl_el0, xzr\n\tisb");
}

#endif
