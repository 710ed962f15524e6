/* SPDX-License-Identifier: MIT */
/* Which handler runs for which interrupt, whatever the interrupt controller. */
#include "gic.h"

#include "gic_version.h"
#include "guest.h"
#include "irq.h"
#include "trace.h"

enum { IRQ_MASK = 0x3ff, SPURIOUS = 1020 };

static const struct gic *gic;
static void (*handlers[GIC_IRQS])(void);

void gic_init(const struct platform *platform)
{
    if (platform->gic_redistributor)
        gic = gicv3_init(platform->gic_distributor, platform->gic_redistributor);
    else
        gic = gicv2_init(platform->gic_distributor, platform->gic_cpu);
}

void gic_enable(uint32_t irq, void (*handler)(void))
{
    if (irq >= GIC_IRQS)
        guest_panic("gic: interrupt %u is too high", (unsigned int)irq);
    handlers[irq] = handler;
    gic->enable(irq);
}

void gic_raise(uint32_t irq)
{
    barrier_sync();
    gic->raise(irq);
    barrier_sync();
}

void gic_dispatch(void)
{
    uint32_t acknowledged = gic->acknowledge();
    uint32_t irq = acknowledged & IRQ_MASK;

    if (irq >= SPURIOUS)
        return;
    trace_event(TRACE_IRQ_ENTER, irq);
    if (irq < GIC_IRQS && handlers[irq])
        handlers[irq]();
    trace_event(TRACE_IRQ_EXIT, irq);
    gic->end(acknowledged);
}
