/* SPDX-License-Identifier: MIT */
/*
 * A doorbell that dom0 rings: an event channel of ours, to which a program in dom0 binds. It
 * finds this structure by its name in the ELF file, and reads there what the guest asks for.
 */
#include "doorbell.h"

#include <string.h>

#include "cpu.h"
#include "events.h"
#include "guest.h"
#include "xen.h"

enum { SLOTS = 64 };

struct lab_doorbell {
    char magic[8];
    uint32_t port, period_us, times;
    volatile uint32_t rung;             /* from here on by dom0 */
    volatile uint64_t rung_at[SLOTS];   /* ring n at n % SLOTS */
};

struct lab_doorbell lab_doorbell __attribute__((aligned(64)));

uint32_t doorbell_rung(void)
{
    uint32_t rung = lab_doorbell.rung;

    barrier_data();
    return rung;
}

uint64_t doorbell_rung_at(uint32_t number)
{
    uint64_t now = counter_physical(), at = lab_doorbell.rung_at[number % SLOTS];

    return at && at < now ? at : now;
}

void doorbell_ask(uint32_t period_us, uint32_t times, void (*handler)(void))
{
    struct evtchn_alloc_unbound channel = { .dom = DOMID_SELF, .remote_dom = 0 };

    if (xen_event_channel_op(EVTCHNOP_alloc_unbound, &channel))
        guest_panic("doorbell: Xen gives no event channel");
    events_bind(channel.port, handler);
    lab_doorbell.port = channel.port;
    lab_doorbell.period_us = period_us;
    lab_doorbell.times = times;
    barrier_data();
    memcpy(lab_doorbell.magic, "XLBELL1", sizeof lab_doorbell.magic);
}
