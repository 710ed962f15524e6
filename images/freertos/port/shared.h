/* SPDX-License-Identifier: MIT */
/*
 * What Xen's device tree gives to two guests at once: memory (xen,shared-mem), and event channels
 * that are connected before the guests start (xen,evtchn). Xen's
 * docs/misc/arm/device-tree/booting.txt describes both.
 */
#ifndef SHARED_H
#define SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The memory of this name (xen,shm-id), and its bytes in *size; null if the domain has none. Each
 * call maps it once more. Nobody clears it: what it holds before a guest writes is not defined.
 */
void *shared_memory(const char *name, size_t *size);

/*
 * From now on `handler` runs in IRQ mode when the other guest notifies the event channel `port`,
 * or has done so already. Xen notifies one of the two once when it connects them. False: the domain has no such channel.
 */
bool shared_channel(uint32_t port, void (*handler)(void));

/* Wakes the other guest. What was written before is visible to it. */
void shared_notify(uint32_t port);

#endif
