/* SPDX-License-Identifier: MIT */
/* GICv3's interface to the processor, in system registers; arm64/gic_cpu.h for the other width. */
#ifndef GIC_CPU_H
#define GIC_CPU_H

#include <stdint.h>

/* System registers instead of memory; every priority passes; group 1 on. */
static inline void gic_cpu_init(void)
{
    __asm__ volatile("mcr p15, 0, %0, c12, c12, 5\n\tisb" :: "r"(1));   /* ICC_SRE */
    __asm__ volatile("mcr p15, 0, %0, c4, c6, 0" :: "r"(0xff));         /* ICC_PMR */
    __asm__ volatile("mcr p15, 0, %0, c12, c12, 7\n\tisb" :: "r"(1));   /* ICC_IGRPEN1 */
}

static inline uint32_t gic_cpu_acknowledge(void)
{
    uint32_t irq;

    __asm__ volatile("mrc p15, 0, %0, c12, c12, 0\n\tdsb" : "=r"(irq) :: "memory");     /* ICC_IAR1 */
    return irq;
}

static inline void gic_cpu_end(uint32_t irq)
{
    __asm__ volatile("mcr p15, 0, %0, c12, c12, 1\n\tisb" :: "r"(irq) : "memory");      /* ICC_EOIR1 */
}

/* A software interrupt, 0 to 15, to processor 0. */
static inline void gic_cpu_raise(uint32_t irq)
{
    uint64_t request = (uint64_t)irq << 24 | 1;

    __asm__ volatile("mcrr p15, 0, %Q0, %R0, c12\n\tisb" :: "r"(request) : "memory");   /* ICC_SGI1R */
}

#endif
