/* SPDX-License-Identifier: MIT */
/* Registers that Xen has (xen/arch/arm/vpl011.c), as in ARM's Server Base System Architecture, appendix B. */
#ifndef VPL011_REGISTERS_H
#define VPL011_REGISTERS_H

#include <stddef.h>
#include <stdint.h>

struct vpl011 {
    uint32_t data, errors, unused[4], flags, unused_too[7];
    uint32_t interrupt_mask, interrupts, masked_interrupts, interrupt_clear;
};

_Static_assert(offsetof(struct vpl011, flags) == 0x18, "UARTFR");
_Static_assert(offsetof(struct vpl011, interrupt_clear) == 0x44, "UARTICR");

enum { BUSY = 1 << 3, RECEIVE_EMPTY = 1 << 4, TRANSMIT_FULL = 1 << 5 };     /* of flags */
enum { RECEIVED = 1 << 4, RECEIVE_TIMEOUT = 1 << 6 };                       /* of interrupts */

#endif
