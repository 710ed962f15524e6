/* SPDX-License-Identifier: MIT */
#ifndef WORK_H
#define WORK_H

#include <stdint.h>

/* Finds out how many rounds of work fit into a microsecond when nothing disturbs. */
void work_calibrate(void);

/* So many rounds; the time they take is longer when something else runs in between. */
void work_for_us(uint32_t microseconds);

uint32_t work_rounds_per_ms(void);

#endif
