/* SPDX-License-Identifier: MIT */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdint.h>

/* Maps the shared page and takes the event interrupt. */
void events_init(uint32_t irq);

/* From now on `handler` runs in IRQ mode when this port is notified. */
void events_bind(uint32_t port, void (*handler)(void));

void events_notify(uint32_t port);

#endif
