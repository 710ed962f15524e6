/* SPDX-License-Identifier: MIT */
/* What the device tree says about the machine that Xen made for us. */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stdint.h>

struct platform {
    uint64_t ram_base, ram_size;
    uint64_t gic_distributor;
    uint64_t gic_cpu;           /* of a GICv2 */
    uint64_t gic_redistributor; /* of a GICv3; 0: it is a GICv2 */
    uint32_t timer_irq;         /* the virtual timer's */
    uint32_t physical_timer_irq;
    uint32_t event_irq;         /* 0: the domain has no event channels */
    uint64_t uart;              /* the emulated PL011; 0: there is none */
    uint32_t uart_irq;
    uint32_t timer_hz;          /* 0: ask the timer itself */
    const void *tree;           /* stays where Xen put it, in RAM that nobody else uses */
    char cmdline[256];
};

/*
 * Fills in *platform from the tree; null if all was found, otherwise what was
 * missing. Works before .bss is cleared.
 */
const char *platform_read(struct platform *platform, const void *tree);

extern struct platform platform;

#endif
