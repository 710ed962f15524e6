/* SPDX-License-Identifier: MIT */
#include "shared.h"

#include <string.h>

#include "cpu.h"
#include "events.h"
#include "fdt.h"
#include "mmu.h"
#include "platform.h"
#include "xen.h"

#define COMPATIBLE "xen,shared-memory-v1"

void *shared_memory(const char *name, size_t *size)
{
    const void *tree = platform.tree, *node = fdt_compatible(tree, COMPATIBLE);
    uint64_t address, bytes;

    for (; node; node = fdt_compatible_after(tree, node, COMPATIBLE)) {
        const char *id = fdt_property(tree, node, "xen,id", NULL);

        if (!id || strcmp(id, name) != 0 || !fdt_reg(tree, node, 0, &address, &bytes))
            continue;
        *size = (size_t)bytes;
        return mmu_map(address, *size, MMU_NORMAL);
    }
    return NULL;
}

bool shared_channel(uint32_t port, void (*handler)(void))
{
    struct evtchn_status status = { .dom = DOMID_SELF, .port = port };

    if (!platform.event_irq || xen_event_channel_op(EVTCHNOP_status, &status) ||
        status.status != EVTCHNSTAT_interdomain)
        return false;
    events_bind(port, handler);
    return true;
}

void shared_notify(uint32_t port)
{
    barrier_data();
    events_notify(port);
}
