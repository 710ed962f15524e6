/* SPDX-License-Identifier: MIT */
/* The bytes of the PV console: two rings in one page shared with xenconsoled. */
#ifndef RING_H
#define RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Maps the page; false if the toolstack gave none. `on_event` runs in IRQ mode. */
bool ring_init(void (*on_event)(void));

/* Writes what finds room and returns how much that was. Not safe against itself. */
size_t ring_put(const char *text, size_t length);

/* Reads one byte; false if there is none. */
bool ring_get(char *byte);

/* True when the other end has read everything. */
bool ring_drained(void);

/* Tells the other end that there is something to read, or room again. */
void ring_notify(void);

#endif
