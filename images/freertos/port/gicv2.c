/* SPDX-License-Identifier: MIT */
/* GICv2: all of it is memory. */
#include <stddef.h>

#include "cpu.h"
#include "device.h"
#include "gic_version.h"
#include "mmu.h"

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

static void enable(uint32_t irq)
{
    device_write8(&distributor->priority[irq], GIC_PRIORITY);
    if (irq >= GIC_PRIVATE)
        device_write8(&distributor->target[irq], 1);            /* this processor */
    barrier_sync();
    device_write32(&distributor->enable[irq / 32], 1u << irq % 32);
}

static void raise(uint32_t irq)
{
    device_write32(&distributor->software, 2u << 24 | irq);     /* to this processor alone */
}

static uint32_t acknowledge(void)
{
    return device_read32(&cpu->acknowledge);
}

static void end(uint32_t acknowledged)
{
    device_write32(&cpu->end, acknowledged);
}

const struct gic *gicv2_init(uint64_t distributor_at, uint64_t cpu_at)
{
    static const struct gic gic = {
        .enable = enable, .raise = raise, .acknowledge = acknowledge, .end = end,
    };

    distributor = mmu_map(distributor_at, sizeof *distributor, MMU_DEVICE);
    cpu = mmu_map(cpu_at, sizeof *cpu, MMU_DEVICE);
    for (unsigned int i = 0; i < GIC_IRQS / 32; i++)
        device_write32(&distributor->disable[i], ~0u);
    device_write32(&distributor->control, 1);
    device_write32(&cpu->priority_mask, GIC_ALL_PRIORITIES);
    device_write32(&cpu->control, 1);
    return &gic;
}
