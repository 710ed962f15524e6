/* The virtual counter (CNTVCT): dom0 may not read the physical one from user space. */
#ifndef COUNTER_H
#define COUNTER_H

#include <stdint.h>

#ifdef __aarch64__
__attribute__((unused)) static uint64_t counter(void)
{
	uint64_t value;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value) :: "memory");
	return value;
}

__attribute__((unused)) static uint32_t counter_frequency(void)
{
	uint64_t hz;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(hz));
	return hz;
}
#else
__attribute__((unused)) static uint64_t counter(void)
{
	uint32_t low, high;

	__asm__ volatile("isb\n\tmrrc p15, 1, %0, %1, c14" : "=r"(low), "=r"(high) :: "memory");
	return (uint64_t)high << 32 | low;
}

__attribute__((unused)) static uint32_t counter_frequency(void)
{
	uint32_t hz;

	__asm__ volatile("mrc p15, 0, %0, c14, c0, 0" : "=r"(hz));
	return hz;
}
#endif

#endif
