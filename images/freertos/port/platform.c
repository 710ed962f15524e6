/* SPDX-License-Identifier: MIT */
#include "platform.h"

#include <stdbool.h>
#include <string.h>

#include "fdt.h"
#include "vpl011.h"

struct platform platform;

/* Entry `index` of `interrupts` as the GIC counts: per-processor ones start at 16. */
static bool interrupt(const void *tree, const void *node, uint32_t index, uint32_t *irq)
{
    uint32_t type, number;

    if (!fdt_cell(tree, node, "interrupts", 3 * index, &type) ||
        !fdt_cell(tree, node, "interrupts", 3 * index + 1, &number))
        return false;
    *irq = number + (type == 1 ? 16 : 32);
    return true;
}

static void read_cmdline(struct platform *platform, const void *tree)
{
    const char *text = fdt_property(tree, fdt_node(tree, "chosen"), "bootargs", NULL);

    platform->cmdline[0] = 0;
    if (text)
        strncat(platform->cmdline, text, sizeof platform->cmdline - 1);
}

static bool read_gic(struct platform *platform, const void *tree)
{
    const void *gic = fdt_compatible(tree, "arm,gic-v3");
    uint64_t size;

    platform->gic_cpu = platform->gic_redistributor = 0;
    if (gic)
        return fdt_reg(tree, gic, 0, &platform->gic_distributor, &size) &&
               fdt_reg(tree, gic, 1, &platform->gic_redistributor, &size);
    gic = fdt_compatible(tree, "arm,cortex-a15-gic");
    if (!gic)
        gic = fdt_compatible(tree, "arm,gic-400");
    return fdt_reg(tree, gic, 0, &platform->gic_distributor, &size) &&
           fdt_reg(tree, gic, 1, &platform->gic_cpu, &size);
}

const char *platform_read(struct platform *platform, const void *tree)
{
    const void *timer;

    platform->tree = tree;
    platform->uart = vpl011_find(tree);
    platform->uart_irq = 0;
    interrupt(tree, fdt_compatible(tree, "arm,sbsa-uart"), 0, &platform->uart_irq);
    if (!fdt_reg(tree, fdt_node(tree, "memory"), 0, &platform->ram_base, &platform->ram_size))
        return "no memory node";

    if (!read_gic(platform, tree))
        return "no GICv2 and no GICv3";

    timer = fdt_compatible(tree, "arm,armv8-timer");
    if (!timer)
        timer = fdt_compatible(tree, "arm,armv7-timer");
    if (!interrupt(tree, timer, 1, &platform->physical_timer_irq) ||
        !interrupt(tree, timer, 2, &platform->timer_irq))       /* 0 is the secure one */
        return "no virtual timer";
    platform->timer_hz = 0;
    fdt_cell(tree, timer, "clock-frequency", 0, &platform->timer_hz);

    platform->event_irq = 0;
    if (!interrupt(tree, fdt_compatible(tree, "xen,xen"), 0, &platform->event_irq) && !platform->uart)
        return "no event channels (xen,enhanced) and no vpl011: no console";
    read_cmdline(platform, tree);
    return NULL;
}
