/* SPDX-License-Identifier: MIT */
#ifndef DOORBELL_H
#define DOORBELL_H

#include <stdint.h>

/*
 * Asks dom0 (lab-doorbell) to notify an event channel of ours `times` times, every
 * `period_us` microseconds; `handler` then runs in IRQ mode. Once in a guest's life.
 */
void doorbell_ask(uint32_t period_us, uint32_t times, void (*handler)(void));

#endif
