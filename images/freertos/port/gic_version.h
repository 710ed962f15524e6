/* SPDX-License-Identifier: MIT */
/* What gic.c asks of a version of the interrupt controller, for the one processor of the guest. */
#ifndef GIC_VERSION_H
#define GIC_VERSION_H

#include <stdint.h>

/* Private interrupts of a processor, then shared ones: the PL011 has the first, 32. */
enum { GIC_PRIVATE = 32, GIC_IRQS = 64, GIC_PRIORITY = 0xa0, GIC_ALL_PRIORITIES = 0xff };

struct gic {
    void (*enable)(uint32_t irq);
    void (*raise)(uint32_t irq);
    uint32_t (*acknowledge)(void);          /* what end() wants back; its low ten bits are the interrupt */
    void (*end)(uint32_t acknowledged);
};

/* Each maps its registers at these physical addresses, every interrupt off. */
const struct gic *gicv2_init(uint64_t distributor, uint64_t cpu_interface);
const struct gic *gicv3_init(uint64_t distributor, uint64_t redistributor);

#endif
