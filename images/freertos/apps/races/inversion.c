/* SPDX-License-Identifier: MIT */
/*
 * A priority inversion. Each 5 ms three tasks begin a job. The high and the low one use the same
 * bus, one at a time. The middle one does not, and computes for long.
 *
 * If high and middle begin while low has the bus, high must wait for low, and low must wait for
 * middle: a less urgent task delays a more urgent one that has nothing to do with it. The fixed
 * version guards the bus with a mutex. Then low inherits the priority of high until it gives the
 * bus back. The other version has a semaphore, which knows no owner.
 *
 * Usually low has the bus 2 ms before the next jobs. It has it when they begin only if something
 * delays it by about that time.
 */
#include <FreeRTOS.h>
#include <semphr.h>
#include <task.h>

#include "guest.h"
#include "races.h"

enum { JOBS = 100, PERIOD_MS = 5, LOW = 3, MIDDLE = 4, HIGH = 5 };
enum { HIGH_US = 50, MIDDLE_US = 1500, LOW_US = 1000, BUS_US = 20 };

static SemaphoreHandle_t bus;
static volatile uint32_t middle_steps;  /* how often a job of middle has begun or ended */
static volatile bool over;

static void high(void *unused)
{
    TickType_t last = xTaskGetTickCount();

    (void)unused;
    for (uint32_t job = 0; job < JOBS; job++) {
        uint32_t before;

        vTaskDelayUntil(&last, pdMS_TO_TICKS(PERIOD_MS));
        before = middle_steps;
        xSemaphoreTake(bus, portMAX_DELAY);
        if (middle_steps != before)
            guest_panic("inversion: FAIL, in job %u middle ran while high waited for low",
                        (unsigned int)job);
        work_for_us(HIGH_US);
        xSemaphoreGive(bus);
    }
    printk("inversion: PASS, %u jobs\n", (unsigned int)JOBS);
    over = true;
    vTaskDelete(NULL);
}

static void middle(void *unused)
{
    TickType_t last = xTaskGetTickCount();

    (void)unused;
    while (!over) {
        vTaskDelayUntil(&last, pdMS_TO_TICKS(PERIOD_MS));
        middle_steps++;
        work_for_us(MIDDLE_US);
        middle_steps++;
    }
    vTaskDelete(NULL);
}

static void low(void *unused)
{
    TickType_t last = xTaskGetTickCount();

    (void)unused;
    while (!over) {
        vTaskDelayUntil(&last, pdMS_TO_TICKS(PERIOD_MS));
        work_for_us(LOW_US);
        xSemaphoreTake(bus, portMAX_DELAY);
        work_for_us(BUS_US);
        xSemaphoreGive(bus);
    }
    vTaskDelete(NULL);
}

void inversion(bool fixed)
{
    bus = fixed ? xSemaphoreCreateMutex() : xSemaphoreCreateBinary();
    if (!fixed)
        xSemaphoreGive(bus);
    xTaskCreate(high, "high", configMINIMAL_STACK_SIZE, NULL, HIGH, NULL);
    xTaskCreate(middle, "middle", configMINIMAL_STACK_SIZE, NULL, MIDDLE, NULL);
    xTaskCreate(low, "low", configMINIMAL_STACK_SIZE, NULL, LOW, NULL);
}
