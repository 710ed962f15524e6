/* SPDX-License-Identifier: MIT */
/* Two tasks that say hello, a heartbeat each second, and an echo of what is typed. */
#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"

static void greet(void *number)
{
    printk("task %d: hello from FreeRTOS\n", (int)(intptr_t)number);
    vTaskDelete(NULL);
}

static void heartbeat(void *unused)
{
    TickType_t woken = xTaskGetTickCount();

    (void)unused;
    for (;;) {
        vTaskDelayUntil(&woken, pdMS_TO_TICKS(1000));
        printk("alive at tick %lu\n", (unsigned long)xTaskGetTickCount());
    }
}

static void answer(void *unused)
{
    char line[80];

    (void)unused;
    for (;;)
        if (console_read_line(line, sizeof line))
            printk("you typed: %s\n", line);
}

int main(void)
{
    printk("FreeRTOS %s on Xen, tick %u Hz, counter %u Hz\n", tskKERNEL_VERSION_NUMBER,
           (unsigned int)configTICK_RATE_HZ, (unsigned int)counter_hz());
    xTaskCreate(greet, "greet-1", configMINIMAL_STACK_SIZE, (void *)1, 2, NULL);
    xTaskCreate(greet, "greet-2", configMINIMAL_STACK_SIZE, (void *)2, 2, NULL);
    xTaskCreate(heartbeat, "heartbeat", configMINIMAL_STACK_SIZE, NULL, 3, NULL);
    xTaskCreate(answer, "answer", configMINIMAL_STACK_SIZE, NULL, 1, NULL);
    vTaskStartScheduler();
    return 0;
}
