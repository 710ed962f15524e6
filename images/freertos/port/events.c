/* SPDX-License-Identifier: MIT */
/* Event channels in their two-level form: a summary word, then a word of 32 ports each. */
#include "events.h"

#include "gic.h"
#include "guest.h"
#include "mmu.h"
#include "xen.h"

enum { PORTS = 32, BITS = 8 * sizeof(xen_ulong_t) };

/* Xen replaces the memory behind this page by its own. */
static union {
    shared_info_t info;
    uint8_t page[4096];
} shared __attribute__((aligned(4096)));
static void (*handlers[PORTS])(void);

/* Claims all that is pending and not masked, in one step, and only then looks at it. */
static void run_handlers(uint32_t word)
{
    xen_ulong_t masked = shared.info.evtchn_mask[word];
    xen_ulong_t pending = __atomic_fetch_and(&shared.info.evtchn_pending[word], masked, __ATOMIC_SEQ_CST) & ~masked;

    for (; pending; pending &= pending - 1) {
        uint32_t port = word * BITS + __builtin_ctzll(pending);

        if (port < PORTS && handlers[port])
            handlers[port]();
    }
}

static void events_interrupt(void)
{
    struct vcpu_info *vcpu = &shared.info.vcpu_info[0];
    xen_ulong_t words;

    __atomic_store_n(&vcpu->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    words = __atomic_exchange_n(&vcpu->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    for (; words; words &= words - 1)
        run_handlers(__builtin_ctzll(words));
}

void events_init(uint32_t irq)
{
    if (xen_map_shared_info(mmu_physical(&shared) >> 12))
        guest_panic("events: Xen refused to map the shared page");
    for (unsigned int i = 0; i < sizeof shared.info.evtchn_mask / sizeof shared.info.evtchn_mask[0]; i++)
        shared.info.evtchn_mask[i] = ~(xen_ulong_t)0;
    gic_enable(irq, events_interrupt);
}

void events_bind(uint32_t port, void (*handler)(void))
{
    struct evtchn_unmask unmask = { .port = port };

    if (port >= PORTS)
        guest_panic("events: port %u is too high", (unsigned int)port);
    handlers[port] = handler;
    xen_event_channel_op(EVTCHNOP_unmask, &unmask);
}

void events_notify(uint32_t port)
{
    struct evtchn_send send = { .port = port };

    xen_event_channel_op(EVTCHNOP_send, &send);
}
