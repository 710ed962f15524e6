/* SPDX-License-Identifier: MIT */
/*
 * GICv3: shared interrupts in the distributor, a processor's own in its redistributor, both
 * memory; the rest are system registers (gic_cpu.h). The guest's one processor has affinity 0
 * and the first redistributor.
 */
#include <stddef.h>

#include "cpu.h"
#include "device.h"
#include "gic_cpu.h"
#include "gic_version.h"
#include "mmu.h"

/* The same registers in the distributor and in the second frame of a redistributor. */
struct interrupts {
    uint32_t control, unused[31];
    uint32_t group[32], enable[32], disable[32], pend[32], unpend[32], active[32], inactive[32];
    uint8_t priority[1024];
};

struct distributor {
    struct interrupts shared;
    uint32_t unused[0x1600];
    uint32_t route[1020][2];                    /* by interrupt; those below 32 have none */
};

struct redistributor {
    uint32_t control, id, type[2], status, wake;
    uint8_t unused[0x10000 - 6 * sizeof(uint32_t)];
    struct interrupts own;
};

_Static_assert(offsetof(struct interrupts, priority) == 0x400, "as in the GICv3 manual");
_Static_assert(offsetof(struct distributor, route) == 0x6000, "GICD_IROUTER");
_Static_assert(offsetof(struct redistributor, wake) == 0x14, "GICR_WAKER");

enum { GROUP_1 = 1 << 1, AFFINITY = 1 << 4, WRITE_PENDING = 1u << 31 };     /* of control */
enum { SLEEPS = 1 << 1, ASLEEP = 1 << 2 };                                  /* of wake */

static volatile struct distributor *distributor;
static volatile struct redistributor *redistributor;

static volatile struct interrupts *registers_of(uint32_t irq)
{
    return irq < GIC_PRIVATE ? &redistributor->own : &distributor->shared;
}

/* To affinity 0: this processor. */
static void route(uint32_t irq)
{
    device_write32(&distributor->route[irq][0], 0);
    device_write32(&distributor->route[irq][1], 0);
}

static void enable(uint32_t irq)
{
    volatile struct interrupts *registers = registers_of(irq);
    volatile uint32_t *group = &registers->group[irq / 32];

    device_write8(&registers->priority[irq], GIC_PRIORITY);
    device_write32(group, device_read32(group) | 1u << irq % 32);
    if (irq >= GIC_PRIVATE)
        route(irq);
    barrier_sync();
    device_write32(&registers->enable[irq / 32], 1u << irq % 32);
}

static void wake(void)
{
    device_write32(&redistributor->wake, device_read32(&redistributor->wake) & ~(uint32_t)SLEEPS);
    while (device_read32(&redistributor->wake) & ASLEEP)
        continue;
}

const struct gic *gicv3_init(uint64_t distributor_at, uint64_t redistributor_at)
{
    static const struct gic gic = {
        .enable = enable, .raise = gic_cpu_raise, .acknowledge = gic_cpu_acknowledge, .end = gic_cpu_end,
    };

    distributor = mmu_map(distributor_at, sizeof *distributor, MMU_DEVICE);
    redistributor = mmu_map(redistributor_at, sizeof *redistributor, MMU_DEVICE);
    for (uint32_t irq = 0; irq < GIC_IRQS; irq += 32)
        device_write32(&registers_of(irq)->disable[irq / 32], ~0u);
    device_write32(&distributor->shared.control, AFFINITY | GROUP_1);
    while (device_read32(&distributor->shared.control) & WRITE_PENDING)
        continue;
    wake();
    gic_cpu_init();
    return &gic;
}
