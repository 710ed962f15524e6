/* SPDX-License-Identifier: MIT */
/*
 * A neighbour that wants the whole processor: one task computes without end, another keeps
 * interrupting it. Command line: percent=N makes it compute only so much of each 100 ms.
 */
#include <stdlib.h>
#include <string.h>

#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"

enum { TURN_MS = 100 };

static uint32_t percent_wanted(void)
{
    const char *word = strstr(guest_cmdline(), "percent=");
    uint32_t percent = word ? (uint32_t)atoi(word + strlen("percent=")) : 0;

    return percent > 0 && percent <= 100 ? percent : 100;
}

static void compute(void *argument)
{
    uint32_t percent = (uint32_t)(uintptr_t)argument;
    TickType_t turn = xTaskGetTickCount();

    for (;;) {
        while (xTaskGetTickCount() - turn < pdMS_TO_TICKS(TURN_MS) * percent / 100)
            ;
        vTaskDelayUntil(&turn, pdMS_TO_TICKS(TURN_MS));
    }
}

static void interrupt(void *unused)
{
    (void)unused;
    for (;;)
        vTaskDelay(1);
}

int main(void)
{
    uint32_t percent = percent_wanted();

    printk("noisy: wants %u %% of a processor\n", (unsigned int)percent);
    xTaskCreate(compute, "compute", configMINIMAL_STACK_SIZE, (void *)(uintptr_t)percent, 1, NULL);
    xTaskCreate(interrupt, "interrupt", configMINIMAL_STACK_SIZE, NULL, 2, NULL);
    vTaskStartScheduler();
    return 0;
}
