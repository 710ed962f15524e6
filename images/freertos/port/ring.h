/* SPDX-License-Identifier: MIT */
/* The bytes of the PV console: two rings in one page shared with xenconsoled. */
#ifndef RING_H
#define RING_H

#include "line.h"

/* Maps the page; null if the toolstack gave none. `on_event` runs in IRQ mode. */
const struct line *ring_init(void (*on_event)(void));

#endif
