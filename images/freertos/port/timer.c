/* SPDX-License-Identifier: MIT */
/*
 * The tick, from the generic virtual timer. Ticks lie at fixed counter values,
 * so they never drift: a late interrupt (the vCPU did not run) counts every
 * tick that has passed. The idle task sleeps until the next tick that matters.
 *
 * Xen masks the timer in its control register whenever it fires:
 * virtual_timer_at() always writes that too.
 */
#include "timer.h"

#include <FreeRTOS.h>
#include <task.h>

#include "counters.h"
#include "cpu.h"
#include "gic.h"
#include "guest.h"
#include "port.h"

#if defined(configINITIAL_TICK_COUNT) && configINITIAL_TICK_COUNT != 0
#error "tick 0 is when the scheduler starts, for counter_of_tick(): configINITIAL_TICK_COUNT must be 0"
#endif

static uint32_t hz;
static uint32_t irq_number;
static uint64_t first;          /* counter value of tick 0 */
static uint64_t ticks;          /* ticks given to the kernel since then */
static uint64_t shift;          /* physical minus virtual counter */

uint64_t counter_now(void)
{
    return virtual_count();
}

uint64_t counter_physical(void)
{
    return physical_count();
}

uint32_t counter_hz(void)
{
    return hz;
}

/* Where tick n lies, rounded down each time from the exact value. */
static uint64_t tick_at(uint64_t n)
{
    return first + n / configTICK_RATE_HZ * hz + n % configTICK_RATE_HZ * hz / configTICK_RATE_HZ;
}

/* Xen shifts a domain's virtual counter by a constant, which the closest of a few pairs shows. */
static uint64_t measure_shift(void)
{
    uint64_t smallest = UINT64_MAX;

    for (int i = 0; i < 16; i++) {
        uint64_t before = counter_now();
        uint64_t shift = counter_physical() - before;

        if (shift < smallest)
            smallest = shift;
    }
    return smallest;
}

uint64_t counter_of_tick(uint32_t tick)
{
    return tick_at(tick) + shift;
}

static void arm(uint64_t tick)
{
    virtual_timer_at(tick_at(tick));
}

static void tick_interrupt(void)
{
    BaseType_t switch_wanted = pdFALSE;

    for (uint64_t now = counter_now(); tick_at(ticks + 1) <= now; ticks++)
        if (xTaskIncrementTick() != pdFALSE)
            switch_wanted = pdTRUE;
    arm(ticks + 1);
    portYIELD_FROM_ISR(switch_wanted);
}

void timer_init(uint32_t irq, uint32_t hz_of_tree)
{
    irq_number = irq;
    hz = hz_of_tree ? hz_of_tree : count_frequency();
    if (hz < configTICK_RATE_HZ)
        guest_panic("timer: a counter of %u Hz is too slow for the tick", (unsigned int)hz);
}

void timer_start(void)
{
    shift = measure_shift();
    first = counter_now();
    ticks = 0;
    gic_enable(irq_number, tick_interrupt);
    arm(1);
}

/* Whole ticks that have passed and are not counted yet, at most `limit`. */
static TickType_t uncounted(TickType_t limit)
{
    uint64_t now = counter_now();
    uint64_t passed = (now - tick_at(ticks)) / (hz / configTICK_RATE_HZ);

    if (passed > limit)
        passed = limit;
    while (passed && tick_at(ticks + passed) > now)     /* the division was generous */
        passed--;
    return (TickType_t)passed;
}

/*
 * The idle task found nothing to do for `expected` ticks. The last of them is
 * left to the interrupt, which is where tasks are woken. The scheduler is
 * suspended: a tick given meanwhile is not in the kernel's count yet, and
 * `expected` starts before it. V9's kernel does not tell.
 */
void port_sleep(TickType_t expected)
{
    TickType_t passed;

    taskENTER_CRITICAL();
    if (xTaskGetTickCount() == (TickType_t)ticks && eTaskConfirmSleepModeStatus() != eAbortSleep) {
        arm(ticks + expected);
        wait_for_interrupt();
        passed = uncounted(expected - 1);
        vTaskStepTick(passed);
        ticks += passed;
        arm(ticks + 1);
    }
    taskEXIT_CRITICAL();
}
