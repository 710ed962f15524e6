/* SPDX-License-Identifier: MIT */
#include "vpl011.h"

#include "device.h"
#include "gic.h"
#include "mmu.h"
#include "vpl011_registers.h"

static volatile struct vpl011 *uart;
static void (*typed)(void);

static size_t put(const char *text, size_t length)
{
    size_t sent = 0;

    while (sent < length && !(device_read32(&uart->flags) & TRANSMIT_FULL))
        device_write32(&uart->data, (uint8_t)text[sent++]);
    return sent;
}

static bool get(char *byte)
{
    if (device_read32(&uart->flags) & RECEIVE_EMPTY)
        return false;
    *byte = (char)device_read32(&uart->data);
    return true;
}

static bool drained(void)
{
    return !(device_read32(&uart->flags) & BUSY);
}

static void notify(void)
{
}

static void interrupt(void)
{
    device_write32(&uart->interrupt_clear, RECEIVED | RECEIVE_TIMEOUT);
    typed();
}

const struct line *vpl011_init(uint64_t physical, uint32_t irq, void (*on_event)(void))
{
    static const struct line line = {
        .name = "vpl011", .put = put, .get = get, .drained = drained, .notify = notify,
    };

    uart = mmu_map(physical, sizeof *uart, MMU_DEVICE);
    typed = on_event;
    if (irq) {
        gic_enable(irq, interrupt);
        device_write32(&uart->interrupt_mask, RECEIVED | RECEIVE_TIMEOUT);
    }
    return &line;
}
