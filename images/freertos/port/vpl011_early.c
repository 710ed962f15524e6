/* SPDX-License-Identifier: MIT */
/* What place.c needs of the PL011. Built position independent; works without MMU. */
#include <stddef.h>

#include "device.h"
#include "fdt.h"
#include "vpl011.h"
#include "vpl011_registers.h"

uint64_t vpl011_find(const void *tree)
{
    uint64_t address, size;

    if (!tree || !fdt_reg(tree, fdt_compatible(tree, "arm,sbsa-uart"), 0, &address, &size))
        return 0;
    return address;
}

void vpl011_say(volatile void *registers, const char *text)
{
    volatile struct vpl011 *uart = registers;

    for (; *text; text++) {
        while (device_read32(&uart->flags) & TRANSMIT_FULL)
            continue;
        device_write32(&uart->data, (uint8_t)*text);
    }
}
