/* SPDX-License-Identifier: MIT */
#ifndef GIC_H
#define GIC_H

#include <stdint.h>

/* Maps and enables the GICv2 at these physical addresses, every interrupt off. */
void gic_init(uint64_t distributor, uint64_t cpu_interface);

/* From now on `handler` runs, in IRQ mode with interrupts masked, when `irq` comes. */
void gic_enable(uint32_t irq, void (*handler)(void));

/* Raises one of the software interrupts, 0 to 15. */
void gic_raise(uint32_t irq);

/* Called by irq_entry. */
void gic_dispatch(void);

#endif
