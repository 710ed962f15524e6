/* SPDX-License-Identifier: MIT */
/*
 * What one record of the timing trace costs. Under the virtual clock of the lab the counter
 * counts instructions, so these are exact; on other clocks they are a guess at best.
 */
#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"
#include "trace.h"

enum { RECORDS = 8000 };

static uint64_t with_records(void)
{
    uint64_t start = counter_physical();

    for (uint32_t i = 0; i < RECORDS; i++) {
        __asm__ volatile("" ::: "memory");
        trace_mark(i);
    }
    return counter_physical() - start;
}

static uint64_t without(void)
{
    uint64_t start = counter_physical();

    for (uint32_t i = 0; i < RECORDS; i++)
        __asm__ volatile("" ::: "memory");
    return counter_physical() - start;
}

/* Nothing may come in between. */
static void measure(void *unused)
{
    uint64_t full, empty;

    (void)unused;
    taskENTER_CRITICAL();
    empty = without();
    full = with_records();
    taskEXIT_CRITICAL();
    printk("trace-cost: %u records took %u, as many empty rounds %u, of %u Hz\n",
           (unsigned int)RECORDS, (unsigned int)full, (unsigned int)empty,
           (unsigned int)counter_hz());
    vTaskDelete(NULL);
}

int main(void)
{
    xTaskCreate(measure, "measure", configMINIMAL_STACK_SIZE, NULL, 2, NULL);
    vTaskStartScheduler();
    return 0;
}
