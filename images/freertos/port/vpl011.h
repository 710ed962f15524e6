/* SPDX-License-Identifier: MIT */
/* The PL011 that Xen emulates for a domain with `vpl011`; ARM calls this subset the SBSA UART. */
#ifndef VPL011_H
#define VPL011_H

#include <stdint.h>

#include "line.h"

/* Its physical address; 0 if the device tree has none. */
uint64_t vpl011_find(const void *tree);

/* Says a text at once, a byte at a time. Needs nothing but the mapping of its registers. */
void vpl011_say(volatile void *registers, const char *text);

/* Takes it as the console; `on_event` runs in IRQ mode when something was typed. */
const struct line *vpl011_init(uint64_t physical, uint32_t irq, void (*on_event)(void));

#endif
