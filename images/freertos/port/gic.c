/* SPDX-License-Identifier: MIT */
/* GICv2, for one processor: its private interrupts (0 to 31) and the first shared ones (the PL011 has 32). */
#include "gic.h"

#include <stddef.h>

#include "cpu.h"
#include "guest.h"
#include "mmu.h"
#include "trace.h"

enum { PRIVATE = 32, IRQS = 64, IRQ_MASK = 0x3ff, SPURIOUS = 1020, PRIORITY = 0xa0, ALL_PRIORITIES = 0xff };

struct distributor {
    uint32_t control, type, id, unused[29];
    uint32_t group[32], enable[32], disable[32], pend[32], unpend[32], active[32], inactive[32];
    uint8_t priority[1024], target[1024];
    uint32_t config[64], unused_too[128], software;
};

_Static_assert(offsetof(struct distributor, software) == 0xf00, "as in the GICv2 manual");

struct cpu_interface {
    uint32_t control, priority_mask, binary_point, acknowledge, end;
};

static volatile struct distributor *distributor;
static volatile struct cpu_interface *cpu;
static void (*handlers[IRQS])(void);

void gic_init(uint64_t distributor_at, uint64_t cpu_at)
{
    distributor = mmu_map(distributor_at, sizeof *distributor, MMU_DEVICE);
    cpu = mmu_map(cpu_at, sizeof *cpu, MMU_DEVICE);
    for (unsigned int i = 0; i < IRQS / 32; i++)
        distributor->disable[i] = ~0u;
    distributor->control = 1;
    cpu->priority_mask = ALL_PRIORITIES;
    cpu->control = 1;
}

void gic_enable(uint32_t irq, void (*handler)(void))
{
    if (irq >= IRQS)
        guest_panic("gic: interrupt %u is too high", (unsigned int)irq);
    handlers[irq] = handler;
    distributor->priority[irq] = PRIORITY;
    if (irq >= PRIVATE)
        distributor->target[irq] = 1;           /* this processor */
    barrier_sync();
    distributor->enable[irq / 32] = 1u << irq % 32;
}

void gic_raise(uint32_t irq)
{
    barrier_sync();
    distributor->software = 2u << 24 | irq;     /* to this processor alone */
    barrier_sync();
}

void gic_dispatch(void)
{
    uint32_t acknowledged = cpu->acknowledge;
    uint32_t irq = acknowledged & IRQ_MASK;

    if (irq >= SPURIOUS)
        return;
    trace_event(TRACE_IRQ_ENTER, irq);
    if (irq < IRQS && handlers[irq])
        handlers[irq]();
    trace_event(TRACE_IRQ_EXIT, irq);
    cpu->end = acknowledged;
}
