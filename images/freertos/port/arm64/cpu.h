/* SPDX-License-Identifier: MIT */
/* The few instructions that C has no word for; arm32/cpu.h says the same for the other width. */
#ifndef CPU_H
#define CPU_H

#include <stdbool.h>
#include <stdint.h>

#define STATE_HANDLER   0x1u        /* PSTATE.SP: the stack of handlers, and of main() */
#define STATE_IRQ_OFF   0x80u       /* PSTATE.I */

/* An interrupt handler runs (vectors.S). */
extern volatile uint32_t port_in_interrupt;

static inline void barrier_data(void) { __asm__ volatile("dmb ish" ::: "memory"); }
static inline void barrier_sync(void) { __asm__ volatile("dsb sy\n\tisb" ::: "memory"); }

/* What runs, and whether interrupts are masked, at the bits of an SPSR. Tasks run on SP_EL0. */
static inline uintptr_t cpu_state(void)
{
    uintptr_t masks, stack;

    __asm__ volatile("mrs %0, daif\n\tmrs %1, spsel" : "=r"(masks), "=r"(stack));
    return masks | stack;
}

static inline bool state_is_task(uintptr_t state) { return !(state & STATE_HANDLER); }
static inline bool state_is_interrupt(uintptr_t state) { return !state_is_task(state) && port_in_interrupt; }
static inline bool state_has_irqs_off(uintptr_t state) { return state & STATE_IRQ_OFF; }

static inline void irq_enable(void) { __asm__ volatile("msr daifclr, 2" ::: "memory"); }
static inline void irq_disable(void) { __asm__ volatile("msr daifset, 2" ::: "memory"); }

/* Puts the mask of interrupts back to what it was in `state`, of the same stack. */
static inline void irq_as_in(uintptr_t state)
{
    __asm__ volatile("msr daif, %0" :: "r"(state) : "memory");
}

/* Sleeps until an interrupt is pending, masked or not. */
static inline void wait_for_interrupt(void) { __asm__ volatile("dsb sy\n\twfi" ::: "memory"); }

/* Stores after all stores before. */
static inline void store_last(uint64_t *at, uint64_t value)
{
    __asm__ volatile("dmb ishst\n\tstr %1, %0" : "=Q"(*at) : "r"(value));
}

#endif
