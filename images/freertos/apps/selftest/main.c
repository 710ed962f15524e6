/* SPDX-License-Identifier: MIT */
/* Checks the port from inside a guest: one line a check, one verdict at the end. */
#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"
#include "selftest.h"

static unsigned int checks, failures;

static void run(const struct check *check)
{
    for (; check->name; check++) {
        const char *why = check->run();

        checks++;
        failures += why != NULL;
        if (why)
            printk("FAIL - %s: %s\n", check->name, why);
        else
            printk("ok - %s\n", check->name);
    }
}

static void runner(void *unused)
{
    (void)unused;
    run(kernel_checks);
    run(time_checks);
    run(port_checks);
    if (failures)
        printk("selftest: FAIL (%u of %u checks)\n", failures, checks);
    else
        printk("selftest: PASS (%u checks)\n", checks);
    vTaskDelete(NULL);
}

int main(void)
{
    xTaskCreate(runner, "selftest", 2 * configMINIMAL_STACK_SIZE, NULL, RUNNER, NULL);
    vTaskStartScheduler();
    return 0;
}
