/* SPDX-License-Identifier: MIT */
/* The few instructions that C has no word for; arm64/cpu.h says the same for the other width. */
#ifndef CPU_H
#define CPU_H

#include <stdbool.h>
#include <stdint.h>

#define CPSR_MODE       0x1fu
#define CPSR_IRQ_OFF    0x80u
#define MODE_IRQ        0x12u
#define MODE_SYS        0x1fu

static inline void barrier_data(void) { __asm__ volatile("dmb ish" ::: "memory"); }
static inline void barrier_sync(void) { __asm__ volatile("dsb\n\tisb" ::: "memory"); }

/* What runs, and whether interrupts are masked: the CPSR. Tasks run in SYS mode. */
static inline uintptr_t cpu_state(void)
{
    uint32_t value;

    __asm__ volatile("mrs %0, cpsr" : "=r"(value));
    return value;
}

static inline bool state_is_task(uintptr_t state) { return (state & CPSR_MODE) == MODE_SYS; }
static inline bool state_is_interrupt(uintptr_t state) { return (state & CPSR_MODE) == MODE_IRQ; }
static inline bool state_has_irqs_off(uintptr_t state) { return state & CPSR_IRQ_OFF; }

static inline void irq_enable(void) { __asm__ volatile("cpsie i" ::: "memory"); }
static inline void irq_disable(void) { __asm__ volatile("cpsid i" ::: "memory"); }

/* Puts the mask of interrupts back to what it was in `state`, of the same mode. */
static inline void irq_as_in(uintptr_t state)
{
    __asm__ volatile("msr cpsr_c, %0" :: "r"(state) : "memory");
}

/* Sleeps until an interrupt is pending, masked or not. */
static inline void wait_for_interrupt(void) { __asm__ volatile("dsb\n\twfi" ::: "memory"); }

/* Stores both words at once, after all stores before: CPUs with LPAE, as those under Xen, do. */
static inline void store_last(uint64_t *at, uint64_t value)
{
    __asm__ volatile("dmb ishst\n\tstrd %Q1, %R1, %0" : "=Q"(*at) : "r"(value));
}

#endif
