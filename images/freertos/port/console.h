/* SPDX-License-Identifier: MIT */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

/* Connects to the ring that xenconsoled serves; without one, Xen's own console stays. */
void console_init(void);

/*
 * Brackets around the writes of one message. A task that may wait holds a lock
 * in between and waits while the ring is full; everyone else holds interrupts
 * off and never waits. console_begin's result goes to the others.
 */
enum console_way { CONSOLE_WAITS, CONSOLE_NEVER_WAITS, CONSOLE_NEVER_WAITS_IRQ_WAS_ON };
enum console_way console_begin(void);
void console_write(enum console_way way, const char *text, size_t length);
void console_end(enum console_way way);

/* Ends all locking and waiting for others: the guest is about to stop. */
void console_take_over(void);

/* Waits until everything was read at the other end; gives up after two seconds. */
void console_flush(void);

#endif
