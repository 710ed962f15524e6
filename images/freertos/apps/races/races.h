/* SPDX-License-Identifier: MIT */
#ifndef RACES_H
#define RACES_H

#include <stdbool.h>
#include <stdint.h>

/* Each creates its tasks. With `fixed` the race is not there. */
void lost_wakeup(bool fixed);
void inversion(bool fixed);

/*
 * Computes for this time by the virtual clock, on which an instruction takes 2 ns. Time in which
 * others run does not count.
 */
void work_for_us(uint32_t microseconds);

#endif
