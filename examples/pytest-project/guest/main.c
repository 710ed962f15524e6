/* SPDX-License-Identifier: MIT */
/* A calculator on the console: "add 2 3" answers "= 5"; a heartbeat each 10 ms beside it. */
#include <FreeRTOS.h>
#include <task.h>
#include <string.h>

#include "guest.h"

static const char *number(const char *text, unsigned long *value)
{
    while (*text == ' ')
        text++;
    for (*value = 0; *text >= '0' && *text <= '9'; text++)
        *value = *value * 10 + (unsigned long)(*text - '0');
    return text;
}

static void calculate(void *unused)
{
    unsigned long left, right;
    char line[80];

    (void)unused;
    printk("calculator: ready\n");
    for (;;) {
        if (!console_read_line(line, sizeof line))
            continue;
        if (strncmp(line, "add ", 4) != 0) {
            printk("error: only add A B is known\n");
            continue;
        }
        number(number(line + 4, &left), &right);
        printk("= %lu\n", left + right);
    }
}

static void heartbeat(void *unused)
{
    TickType_t woken = xTaskGetTickCount();

    (void)unused;
    trace_period(10000);
    for (uint32_t beat = 0;; beat++) {
        vTaskDelayUntil(&woken, pdMS_TO_TICKS(10));
        trace_release(beat, counter_of_tick(woken));
        trace_job_begin(beat);
        trace_job_end(beat);
    }
}

int main(void)
{
    xTaskCreate(calculate, "calculate", configMINIMAL_STACK_SIZE, NULL, 1, NULL);
    xTaskCreate(heartbeat, "heartbeat", configMINIMAL_STACK_SIZE, NULL, 3, NULL);
    vTaskStartScheduler();
    return 0;
}
