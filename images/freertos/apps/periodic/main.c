/* SPDX-License-Identifier: MIT */
/*
 * Three periodic tasks with rate-monotonic priorities and known work, and one that dom0
 * wakes by an event channel. Command line: seconds=N (default 10).
 *
 * At the end a line for each task, and a verdict: PASS if every job was done, however late.
 * The trace says how late they were, for comparing configurations.
 */
#include <stdlib.h>
#include <string.h>

#include <FreeRTOS.h>
#include <semphr.h>
#include <task.h>

#include "doorbell.h"
#include "guest.h"
#include "trace.h"
#include "work.h"

enum { DEFAULT_SECONDS = 10, START_MS = 100, GRACE_MS = 5000, REPORTER = 1 };

struct periodic {
    const char *name;
    uint32_t priority, period_ms, work_us;
    uint32_t jobs, done, late;
    TaskHandle_t task;
};

static struct periodic tasks[] = {
    { .name = "fast",   .priority = 5, .period_ms = 5,  .work_us = 250 },
    { .name = "middle", .priority = 4, .period_ms = 10, .work_us = 500 },
    { .name = "slow",   .priority = 3, .period_ms = 20, .work_us = 1500 },
};
/* Its releases are when dom0 rings, so its period is not exact. */
static struct periodic bell = { .name = "event", .priority = 6, .period_ms = 10, .work_us = 100 };
static volatile uint32_t rung;
static uint64_t rung_at[256];
static SemaphoreHandle_t ring;

enum { TASKS = sizeof tasks / sizeof tasks[0] };

static uint32_t seconds_wanted(void)
{
    const char *word = strstr(guest_cmdline(), "seconds=");
    uint32_t seconds = word ? (uint32_t)atoi(word + strlen("seconds=")) : 0;

    return seconds > 0 && seconds <= 3600 ? seconds : DEFAULT_SECONDS;
}

/* One job: its nominal release, the work, and whether it ended by its deadline. */
static void job(struct periodic *self, uint32_t number, uint64_t release)
{
    uint64_t deadline = release + (uint64_t)self->period_ms * counter_hz() / 1000;

    trace_release(number, release);
    trace_job_begin(number);
    work_for_us(self->work_us);
    if (counter_physical() > deadline)
        self->late++;
    trace_job_end(number);
    self->done++;
}

static void announce(const struct periodic *self)
{
    trace_period(self->period_ms * 1000);
    trace_deadline(self->period_ms * 1000);
}

/* Releases lie on ticks START_MS + n * period: a late job never moves the next one. */
static void run_periodic(void *argument)
{
    struct periodic *self = argument;
    TickType_t release = pdMS_TO_TICKS(START_MS);
    TickType_t origin = 0;

    announce(self);
    vTaskDelayUntil(&origin, release);
    for (uint32_t number = 0; number < self->jobs; number++) {
        job(self, number, counter_of_tick(release));
        vTaskDelayUntil(&release, pdMS_TO_TICKS(self->period_ms));
    }
    vTaskDelete(NULL);
}

static void on_ring(void)
{
    BaseType_t switch_wanted = pdFALSE;

    for (uint32_t now = doorbell_rung(); rung != now; rung++) {
        rung_at[rung % 256] = doorbell_rung_at(rung);
        xSemaphoreGiveFromISR(ring, &switch_wanted);
    }
    portYIELD_FROM_ISR(switch_wanted);
}

static void run_bell(void *unused)
{
    (void)unused;
    announce(&bell);
    for (uint32_t number = 0;; number++) {
        xSemaphoreTake(ring, portMAX_DELAY);
        job(&bell, number, rung_at[number % 256]);
    }
}

static void say(const struct periodic *self, uint32_t expected)
{
    printk("periodic: task %s period %u us work %u us jobs %u of %u late %u\n", self->name,
           (unsigned int)self->period_ms * 1000, (unsigned int)self->work_us,
           (unsigned int)self->done, (unsigned int)expected, (unsigned int)self->late);
}

static bool all_done(void)
{
    for (int i = 0; i < TASKS; i++)
        if (tasks[i].done < tasks[i].jobs)
            return false;
    return bell.done == rung;
}

/* Below the others: it reports when they have nothing left to do. */
static void report(void *argument)
{
    uint32_t seconds = (uint32_t)(uintptr_t)argument;
    bool passed;

    vTaskDelay(pdMS_TO_TICKS(START_MS + 1000 * seconds));
    for (uint32_t waited = 0; waited < GRACE_MS && !all_done(); waited += 10)
        vTaskDelay(pdMS_TO_TICKS(10));
    passed = all_done() && rung > 0;
    for (int i = 0; i < TASKS; i++)
        say(&tasks[i], tasks[i].jobs);
    say(&bell, rung);
    printk("periodic: %s\n", passed ? "PASS" : "FAIL");
    vTaskDelete(NULL);
}

int main(void)
{
    uint32_t seconds = seconds_wanted();

    work_calibrate();
    printk("periodic: %u s, %u rounds of work a millisecond\n", (unsigned int)seconds,
           (unsigned int)work_rounds_per_ms());
    ring = xSemaphoreCreateCounting(256, 0);
    for (int i = 0; i < TASKS; i++) {
        tasks[i].jobs = 1000 * seconds / tasks[i].period_ms;
        xTaskCreate(run_periodic, tasks[i].name, configMINIMAL_STACK_SIZE, &tasks[i],
                    tasks[i].priority, &tasks[i].task);
    }
    xTaskCreate(run_bell, bell.name, configMINIMAL_STACK_SIZE, NULL, bell.priority, &bell.task);
    xTaskCreate(report, "report", configMINIMAL_STACK_SIZE, (void *)(uintptr_t)seconds, REPORTER,
                NULL);
    doorbell_ask(bell.period_ms * 1000, 1000 * seconds / bell.period_ms, on_ring);
    vTaskStartScheduler();
    return 0;
}
