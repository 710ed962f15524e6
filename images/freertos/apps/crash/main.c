/* SPDX-License-Identifier: MIT */
/*
 * Stops in the way that the domain's command line names, to see what a stopped
 * guest looks like from outside: extra = "data" in its configuration.
 */
#include <string.h>

#include <FreeRTOS.h>
#include <queue.h>
#include <task.h>

#include "gic.h"
#include "guest.h"

static void __attribute__((noinline)) use_stack(int depth)
{
    volatile char room[64];

    for (unsigned int i = 0; i < sizeof room; i++)
        room[i] = (char)depth;
    if (depth)
        use_stack(depth - 1);
    (void)room[0];
}

static void crash_data(void) { *(volatile uint32_t *)(uintptr_t)crash_data = 0; }
static void crash_null(void) { (void)*(volatile uint32_t *)0; }
static void crash_prefetch(void) { ((void (*)(void))0x50)(); }
static void crash_undefined(void) { __asm__ volatile("udf #7"); }
static void crash_assert(void) { configASSERT(!"this was asked for"); }
static void crash_kernel_assert(void) { xQueueReceive(NULL, NULL, 0); }
static void crash_stack(void) { use_stack(40); vTaskDelay(1); }
static void crash_heap(void) { pvPortMalloc(configTOTAL_HEAP_SIZE); }
static void crash_return(void) { }
static void crash_interrupt(void) { gic_enable(1, crash_null); gic_raise(1); }
static void poweroff(void) { guest_poweroff(); }
static void hang(void) { taskENTER_CRITICAL(); for (;;) ; }

static const struct { const char *name; void (*run)(void); } ways[] = {
    { "data", crash_data }, { "null", crash_null }, { "prefetch", crash_prefetch },
    { "undefined", crash_undefined }, { "assert", crash_assert },
    { "kernel-assert", crash_kernel_assert }, { "stack", crash_stack }, { "heap", crash_heap },
    { "return", crash_return }, { "interrupt", crash_interrupt },
    { "poweroff", poweroff }, { "hang", hang },
};

static void crash(void *unused)
{
    (void)unused;
    for (unsigned int i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (strcmp(ways[i].name, guest_cmdline()) != 0)
            continue;
        printk("crash: %s\n", ways[i].name);
        ways[i].run();
        return;                         /* only "return" comes here, and a task must not */
    }
    printk("crash: no such way: \"%s\"; there are", guest_cmdline());
    for (unsigned int i = 0; i < sizeof ways / sizeof ways[0]; i++)
        printk(" %s", ways[i].name);
    printk("\n");
    guest_poweroff();
}

int main(void)
{
    xTaskCreate(crash, "crash", configMINIMAL_STACK_SIZE / 2, NULL, 2, NULL);
    vTaskStartScheduler();
    return 0;
}
