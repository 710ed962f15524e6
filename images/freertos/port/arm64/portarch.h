/* SPDX-License-Identifier: MIT */
/* What portmacro.h says for this width alone; arm32/portarch.h for the other. */
#ifndef PORTARCH_H
#define PORTARCH_H

#define portSTACK_TYPE          uint64_t
#define portPOINTER_SIZE_TYPE   uint64_t
#define portBYTE_ALIGNMENT      16
#define portARCH_NAME           "Xen guest, ARMv8-A, AArch64"

#define portDISABLE_INTERRUPTS()    __asm__ volatile("msr daifset, 2" ::: "memory")
#define portENABLE_INTERRUPTS()     __asm__ volatile("msr daifclr, 2" ::: "memory")

#endif
