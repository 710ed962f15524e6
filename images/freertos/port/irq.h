/* SPDX-License-Identifier: MIT */
/* Interrupts masked for a while, by whoever does not know whether they were before. */
#ifndef IRQ_H
#define IRQ_H

#include "cpu.h"

/* Masks interrupts; true if they were on. */
static inline bool irq_save(void)
{
    bool were_on = !state_has_irqs_off(cpu_state());

    irq_disable();
    return were_on;
}

static inline void irq_restore(bool were_on)
{
    if (were_on)
        irq_enable();
}

#endif
