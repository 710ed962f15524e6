/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include "cpu.h"
#include "events.h"
#include "mmu.h"
#include "xen.h"

static volatile struct xencons_interface *ring;
static uint32_t port;

static size_t put(const char *text, size_t length)
{
    XENCONS_RING_IDX produced = ring->out_prod;
    XENCONS_RING_IDX room = sizeof ring->out - (produced - ring->out_cons);
    size_t count = length < room ? length : room;

    barrier_data();                 /* the room was read before the bytes go there */
    for (size_t i = 0; i < count; i++)
        ring->out[MASK_XENCONS_IDX(produced + i, ring->out)] = text[i];
    barrier_data();                 /* the bytes are there before the index says so */
    ring->out_prod = produced + count;
    return count;
}

static bool get(char *byte)
{
    XENCONS_RING_IDX consumed = ring->in_cons;

    if (consumed == ring->in_prod)
        return false;
    barrier_data();
    *byte = ring->in[MASK_XENCONS_IDX(consumed, ring->in)];
    barrier_data();
    ring->in_cons = consumed + 1;
    return true;
}

static bool drained(void)
{
    return ring->out_cons == ring->out_prod;
}

static void notify(void)
{
    barrier_data();
    events_notify(port);
}

const struct line *ring_init(void (*on_event)(void))
{
    static const struct line line = {
        .name = "PV ring", .put = put, .get = get, .drained = drained, .notify = notify,
    };
    uint64_t frame = xen_get_param(HVM_PARAM_CONSOLE_PFN);

    port = (uint32_t)xen_get_param(HVM_PARAM_CONSOLE_EVTCHN);
    if (!frame || !port)
        return NULL;
    ring = mmu_map(frame << 12, sizeof *ring, MMU_NORMAL);
    events_bind(port, on_event);
    return &line;
}
