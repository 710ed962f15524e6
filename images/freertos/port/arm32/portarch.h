/* SPDX-License-Identifier: MIT */
/* What portmacro.h says for this width alone; arm64/portarch.h for the other. */
#ifndef PORTARCH_H
#define PORTARCH_H

#define portSTACK_TYPE          uint32_t
#define portPOINTER_SIZE_TYPE   uint32_t
#define portBYTE_ALIGNMENT      8
#define portARCH_NAME           "Xen guest, ARMv7-A"

#define portDISABLE_INTERRUPTS()    __asm__ volatile("cpsid i" ::: "memory")
#define portENABLE_INTERRUPTS()     __asm__ volatile("cpsie i" ::: "memory")

#endif
