/* SPDX-License-Identifier: MIT */
/*
 * The tick against the counter. A busy host may run this guest late, so
 * lateness alone is no error here: a tick lost, gained or early is.
 */
#include <FreeRTOS.h>
#include <task.h>
#include <timers.h>

#include "counters.h"
#include "gic.h"
#include "guest.h"
#include "platform.h"
#include "selftest.h"

static uint64_t period(void)
{
    return counter_hz() / configTICK_RATE_HZ;
}

/*
 * Where tick 0 lies, seen from the next edges of the tick: being late only
 * makes it look later, so the smallest of many is the best.
 */
static uint64_t phase(void)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < 40; i++) {
        TickType_t before = xTaskGetTickCount(), now;
        uint64_t zero;

        while ((now = xTaskGetTickCount()) == before)
            ;
        zero = counter_now() - now * period();
        if (zero < best)
            best = zero;
    }
    return best;
}

static const char *check_tick(void)
{
    uint64_t before = phase(), after;

    vTaskDelay(1000);
    after = phase();
    EXPECT(after < before + period() / 4);
    EXPECT(before < after + period() / 4);
    return NULL;
}

static volatile uint32_t woken_early;

static void on_physical_timer(void)
{
    physical_timer_stop();
    woken_early++;
}

/* The idle task sleeps over many ticks; another interrupt ends that in the middle of one. */
static const char *check_disturbed_sleep(void)
{
    uint64_t before = phase(), after;

    woken_early = 0;
    gic_enable(platform.physical_timer_irq, on_physical_timer);
    physical_timer_after((uint32_t)(period() * 503 / 10));
    vTaskDelay(100);
    after = phase();
    EXPECT(woken_early == 1);
    EXPECT(after < before + period() / 4);
    EXPECT(before < after + period() / 4);
    return NULL;
}

static const char *check_delay(void)
{
    TickType_t tick;
    uint64_t from, to;

    vTaskDelay(1);                      /* to an edge */
    tick = xTaskGetTickCount();
    from = counter_now();
    vTaskDelay(200);
    to = counter_now();
    EXPECT(xTaskGetTickCount() - tick >= 200);
    EXPECT(to - from > 199 * period());
    EXPECT(to - from < 1000 * period());
    return NULL;
}

static const char *check_delay_until(void)
{
    TickType_t start = xTaskGetTickCount(), woken = start;

    for (int i = 0; i < 30; i++) {
        vTaskDelayUntil(&woken, 10);
        EXPECT(xTaskGetTickCount() >= woken);
    }
    EXPECT(woken - start == 300);
    return NULL;
}

/* Interrupts off for many ticks, as when Xen gives the processor to someone else. */
static const char *check_missed_ticks(void)
{
    TickType_t before, counted;
    uint64_t from;

    vTaskDelay(1);
    taskENTER_CRITICAL();
    before = xTaskGetTickCount();
    for (from = counter_now(); counter_now() - from < 50 * period();)
        ;
    taskEXIT_CRITICAL();
    /* On a host at its limit the machine's clock stands for a while: the interrupt comes late. */
    while (xTaskGetTickCount() == before && counter_now() - from < 5000 * period())
        ;
    counted = xTaskGetTickCount() - before;
    EXPECT(counted >= 50);
    EXPECT(counted <= (counter_now() - from) / period() + 1);
    return NULL;
}

static volatile unsigned int fired[2];

static void on_timer(TimerHandle_t timer)
{
    fired[(intptr_t)pvTimerGetTimerID(timer)]++;
}

static const char *check_timers(void)
{
    TimerHandle_t repeating = xTimerCreate("repeating", 20, pdTRUE, (void *)0, on_timer);
    TimerHandle_t once = xTimerCreate("once", 30, pdFALSE, (void *)1, on_timer);
    TickType_t start;
    unsigned int expected, seen;

    EXPECT(repeating != NULL && once != NULL);
    fired[0] = fired[1] = 0;
    start = xTaskGetTickCount();
    xTimerStart(repeating, 10);
    xTimerStart(once, 10);
    vTaskDelay(29);
    EXPECT(fired[1] == 0 || xTaskGetTickCount() - start >= 30);
    vTaskDelay(181);
    vTaskSuspendAll();
    seen = fired[0];
    expected = (xTaskGetTickCount() - start) / 20;
    xTaskResumeAll();
    xTimerDelete(repeating, 10);
    xTimerDelete(once, 10);
    EXPECT(seen >= 10);
    EXPECT(seen + 1 >= expected && seen <= expected);
    EXPECT(fired[1] == 1);
    return NULL;
}

const struct check time_checks[] = {
    { "tick keeps step with the counter", check_tick },
    { "so it does when idle sleep is cut short", check_disturbed_sleep },
    { "delay is neither short nor much too long", check_delay },
    { "periodic delay does not drift", check_delay_until },
    { "missed ticks are made up for", check_missed_ticks },
    { "software timers", check_timers },
    { NULL, NULL },
};
