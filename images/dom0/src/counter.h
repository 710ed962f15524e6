/* The virtual counter (CNTVCT): dom0 may not read the physical one from user space. */
#ifndef COUNTER_H
#define COUNTER_H

#include <stdint.h>

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
