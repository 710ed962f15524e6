"""Guests of the tests that do things to their traces which no guest should do."""

from __future__ import annotations

#: A guest that spoils its own trace while it is read: what dom0 and the host make of it is
#: their affair. The header's words are those of images/freertos/port/trace.c.
LIAR = """\
#include <string.h>
#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"

struct header {
    char magic[8];
    uint32_t record_size, capacity;
    volatile uint64_t head;
    uint64_t frequency;
    volatile uint32_t slots, used, tick_hz, reserved[5];
    struct { uint32_t id, priority; char name[16]; uint64_t reserved; } tasks[64];
};
extern struct header lab_trace;

static void lie(void *unused)
{
    (void)unused;
    vTaskDelay(pdMS_TO_TICKS(300));
    memset(lab_trace.tasks, 0x9b, sizeof lab_trace.tasks);
    lab_trace.used = 0xffffffff;
    lab_trace.slots = 0xffffffff;
    lab_trace.capacity = 3;
    for (uint32_t i = 0; i < 1000; i++) {
        lab_trace.head = i % 3 ? (uint64_t)i << 53 : i;
        vTaskDelay(1);
    }
    printk("lied\\n");
    vTaskDelete(NULL);
}

int main(void)
{
    xTaskCreate(lie, "liar", configMINIMAL_STACK_SIZE, NULL, 2, NULL);
    vTaskStartScheduler();
    return 0;
}
"""

#: A guest that writes records faster than anybody can read them.
BURST = """\
#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"
#include "trace.h"

static void burst(void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < 3; i++) {
        vTaskDelay(pdMS_TO_TICKS(300));
        for (uint32_t n = 0; n < 50000; n++)
            trace_mark(50000 * i + n);
    }
    vTaskDelay(pdMS_TO_TICKS(300));
    printk("burst done\\n");
    vTaskDelete(NULL);
}

int main(void)
{
    xTaskCreate(burst, "burst", configMINIMAL_STACK_SIZE, NULL, 2, NULL);
    vTaskStartScheduler();
    return 0;
}
"""
