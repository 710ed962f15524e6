/* SPDX-License-Identifier: MIT */
/*
 * A lost wake-up. A producer puts an item into a box each 5 ms, and wakes the consumer. The
 * consumer looks into the box, and sleeps if it is empty.
 *
 * If the producer comes after that look and before the sleep, it wakes a task that does not sleep
 * yet. The consumer then sleeps beside a full box for ever. The fixed consumer waits for a
 * notification instead, which is not lost if it comes early.
 *
 * Usually the consumer looks 0.7 ms before the next item comes. The two meet only if something
 * delays the consumer by about that time.
 */
#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"
#include "races.h"

enum { ITEMS = 100, PERIOD_MS = 5, WORK_US = 4200, LOOK_US = 15, PRODUCER = 4, CONSUMER = 3 };

static TaskHandle_t consumer;
static volatile bool full;
static bool with_notification;

static void wake(void)
{
    if (with_notification)
        xTaskNotifyGive(consumer);
    else
        vTaskResume(consumer);
}

static void sleep_until_woken(void)
{
    if (with_notification)
        ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
    else
        vTaskSuspend(NULL);
}

static void consume(void *unused)
{
    (void)unused;
    for (uint32_t done = 0; done < ITEMS; done++) {
        while (!full) {
            work_for_us(LOOK_US);       /* it prepares for its sleep */
            sleep_until_woken();
        }
        work_for_us(WORK_US);
        full = false;
    }
    printk("lost-wakeup: PASS, %u items\n", (unsigned int)ITEMS);
    vTaskDelete(NULL);
}

/* The consumer has had a whole period. If it sleeps, nobody will wake it. */
static bool is_lost(void)
{
    eTaskState state = eTaskGetState(consumer);

    return full && (state == eSuspended || state == eBlocked);
}

static void produce(void *unused)
{
    TickType_t last = xTaskGetTickCount();
    uint32_t item = 0;

    (void)unused;
    while (item < ITEMS) {
        vTaskDelayUntil(&last, pdMS_TO_TICKS(PERIOD_MS));
        if (is_lost())
            guest_panic("lost-wakeup: FAIL, item %u waits, and its consumer sleeps",
                        (unsigned int)item);
        if (full)
            continue;   /* the consumer is late */
        item++;
        full = true;
        wake();
    }
    vTaskDelete(NULL);
}

void lost_wakeup(bool fixed)
{
    with_notification = fixed;
    xTaskCreate(consume, "consumer", configMINIMAL_STACK_SIZE, NULL, CONSUMER, &consumer);
    xTaskCreate(produce, "producer", configMINIMAL_STACK_SIZE, NULL, PRODUCER, NULL);
}
