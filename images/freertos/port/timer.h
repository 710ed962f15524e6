/* SPDX-License-Identifier: MIT */
#ifndef TIMER_H
#define TIMER_H

#include <stdint.h>

/* Which interrupt the virtual timer raises, and its frequency (0: ask it). */
void timer_init(uint32_t irq, uint32_t hz);

/* Starts the tick; the first comes one period from now. */
void timer_start(void);

#endif
