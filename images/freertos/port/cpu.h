/* SPDX-License-Identifier: MIT */
/* The few instructions that C has no word for. */
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

static inline uint32_t cpsr_read(void)
{
    uint32_t value;

    __asm__ volatile("mrs %0, cpsr" : "=r"(value));
    return value;
}

static inline void irq_enable(void) { __asm__ volatile("cpsie i" ::: "memory"); }
static inline void irq_disable(void) { __asm__ volatile("cpsid i" ::: "memory"); }

/* Masks interrupts; true if they were on. */
static inline bool irq_save(void)
{
    bool were_on = !(cpsr_read() & CPSR_IRQ_OFF);

    irq_disable();
    return were_on;
}

static inline void irq_restore(bool were_on)
{
    if (were_on)
        irq_enable();
}

/* Sleeps until an interrupt is pending, masked or not. */
static inline void wait_for_interrupt(void) { __asm__ volatile("dsb\n\twfi" ::: "memory"); }

#endif
