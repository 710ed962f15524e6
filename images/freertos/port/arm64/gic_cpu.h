/* SPDX-License-Identifier: MIT */
/* GICv3's interface to the processor, in system registers; arm32/gic_cpu.h for the other width. */
#ifndef GIC_CPU_H
#define GIC_CPU_H

#include <stdint.h>

/* System registers instead of memory; every priority passes; group 1 on. */
static inline void gic_cpu_init(void)
{
    __asm__ volatile("msr S3_0_C12_C12_5, %0\n\tisb" :: "r"(1UL));      /* ICC_SRE_EL1 */
    __asm__ volatile("msr S3_0_C4_C6_0, %0" :: "r"(0xffUL));            /* ICC_PMR_EL1 */
    __asm__ volatile("msr S3_0_C12_C12_7, %0\n\tisb" :: "r"(1UL));      /* ICC_IGRPEN1_EL1 */
}

static inline uint32_t gic_cpu_acknowledge(void)
{
    uint64_t irq;

    __asm__ volatile("mrs %0, S3_0_C12_C12_0\n\tdsb sy" : "=r"(irq) :: "memory");       /* ICC_IAR1_EL1 */
    return (uint32_t)irq;
}

static inline void gic_cpu_end(uint32_t irq)
{
    __asm__ volatile("msr S3_0_C12_C12_1, %0\n\tisb" :: "r"((uint64_t)irq) : "memory"); /* ICC_EOIR1_EL1 */
}

/* A software interrupt, 0 to 15, to processor 0. */
static inline void gic_cpu_raise(uint32_t irq)
{
    uint64_t request = (uint64_t)irq << 24 | 1;

    __asm__ volatile("msr S3_0_C12_C11_5, %0\n\tisb" :: "r"(request) : "memory");       /* ICC_SGI1R_EL1 */
}

#endif
