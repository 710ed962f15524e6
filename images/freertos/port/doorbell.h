/* SPDX-License-Identifier: MIT */
#ifndef DOORBELL_H
#define DOORBELL_H

#include <stdint.h>

/*
 * Asks dom0 (lab-doorbell) to notify an event channel of ours `times` times, every
 * `period_us` microseconds; `handler` then runs in IRQ mode. Once in a guest's life.
 */
void doorbell_ask(uint32_t period_us, uint32_t times, void (*handler)(void));

/* How often dom0 has rung: more often than `handler` ran, if we were late. */
uint32_t doorbell_rung(void);

/*
 * When dom0 rang for the nth time, counted from 0, as a value of counter_physical(): right to
 * some ten microseconds. Now, if dom0 does not know it. For the last 64 rings.
 */
uint64_t doorbell_rung_at(uint32_t number);

#endif
