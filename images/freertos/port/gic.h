/* SPDX-License-Identifier: MIT */
#ifndef GIC_H
#define GIC_H

#include <stdint.h>

#include "platform.h"

/* Maps and enables the interrupt controller, every interrupt off. */
void gic_init(const struct platform *platform);

/* From now on `handler` runs, in IRQ mode with interrupts masked, when `irq` comes. */
void gic_enable(uint32_t irq, void (*handler)(void));

/* Raises one of the software interrupts, 0 to 15. */
void gic_raise(uint32_t irq);

/* Called by vectors.S. */
void gic_dispatch(void);

#endif
