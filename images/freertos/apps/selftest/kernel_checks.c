/* SPDX-License-Identifier: MIT */
/* The kernel's services on this port: switching, blocking and waking. */
#include <string.h>

#include <FreeRTOS.h>
#include <event_groups.h>
#include <queue.h>
#include <semphr.h>
#include <task.h>

#include "gic.h"
#include "guest.h"
#include "selftest.h"

static TaskHandle_t start(TaskFunction_t code, void *argument, UBaseType_t priority)
{
    TaskHandle_t task = NULL;

    xTaskCreate(code, "helper", configMINIMAL_STACK_SIZE, argument, priority, &task);
    return task;
}

static char order[8];

static void note(void *letter)
{
    strcat(order, letter);
    vTaskDelete(NULL);
}

/* A higher task preempts at once, a lower one waits until the runner sleeps. */
static const char *check_tasks(void)
{
    UBaseType_t before = uxTaskGetNumberOfTasks();

    order[0] = 0;
    start(note, "l", LOW);
    start(note, "h", HIGH);
    strcat(order, "r");
    WAIT_FOR(strlen(order) == 3);
    EXPECT(strcmp(order, "hrl") == 0);
    WAIT_FOR(uxTaskGetNumberOfTasks() == before);       /* the idle task frees them */
    EXPECT(uxTaskGetNumberOfTasks() == before);
    return NULL;
}

static volatile int last_spinner;
static volatile uint32_t turns;

static void spin(void *me)
{
    for (;;) {
        if (last_spinner != (int)(intptr_t)me)
            turns++;
        last_spinner = (int)(intptr_t)me;
    }
}

/* The runner sleeps in one piece: its own waking would also change whose turn it is. */
static const char *check_time_slicing(void)
{
    TaskHandle_t first = start(spin, (void *)1, LOW), second = start(spin, (void *)2, LOW);

    turns = 0;
    vTaskDelay(200);
    vTaskDelete(first);
    vTaskDelete(second);
    EXPECT(turns >= 4);
    return NULL;
}

static QueueHandle_t queue;

static void produce(void *count)
{
    for (uint32_t i = 0; i < (uint32_t)(uintptr_t)count; i++)
        xQueueSend(queue, &i, portMAX_DELAY);
    vTaskDelete(NULL);
}

static const char *check_queue(void)
{
    uint32_t item, i;

    queue = xQueueCreate(4, sizeof item);
    EXPECT(queue != NULL);
    for (i = 0; i < 4; i++)
        EXPECT(xQueueSend(queue, &i, 0) == pdPASS);
    EXPECT(xQueueSend(queue, &i, 0) == errQUEUE_FULL);
    xQueueReset(queue);
    start(produce, (void *)100, HIGH);  /* blocks whenever the queue is full */
    for (i = 0; i < 100; i++) {
        EXPECT(xQueueReceive(queue, &item, LONG) == pdPASS);
        EXPECT(item == i);
    }
    EXPECT(xQueueReceive(queue, &item, 0) == errQUEUE_EMPTY);
    vQueueDelete(queue);
    return NULL;
}

static const char *check_semaphores(void)
{
    SemaphoreHandle_t binary = xSemaphoreCreateBinary(), counting = xSemaphoreCreateCounting(3, 1);
    TickType_t start_tick;

    EXPECT(xSemaphoreTake(binary, 0) == pdFALSE);
    EXPECT(xSemaphoreGive(binary) == pdTRUE);
    EXPECT(xSemaphoreGive(binary) == pdFALSE);
    EXPECT(xSemaphoreTake(binary, 0) == pdTRUE);
    start_tick = xTaskGetTickCount();
    EXPECT(xSemaphoreTake(binary, 20) == pdFALSE);
    EXPECT(xTaskGetTickCount() - start_tick >= 20);
    EXPECT(xSemaphoreGive(counting) == pdTRUE);
    EXPECT(xSemaphoreGive(counting) == pdTRUE);
    EXPECT(xSemaphoreGive(counting) == pdFALSE);
    EXPECT(uxSemaphoreGetCount(counting) == 3);
    vSemaphoreDelete(binary);
    vSemaphoreDelete(counting);
    return NULL;
}

static SemaphoreHandle_t mutex;

static void want_mutex(void *letter)
{
    xSemaphoreTake(mutex, portMAX_DELAY);
    strcat(order, letter);
    xSemaphoreGive(mutex);
    vTaskDelete(NULL);
}

/* The runner holds the mutex that HIGH wants: MEDIUM must not come between. */
static const char *check_priority_inheritance(void)
{
    mutex = xSemaphoreCreateMutex();
    order[0] = 0;
    xSemaphoreTake(mutex, 0);
    EXPECT(uxTaskPriorityGet(NULL) == RUNNER);
    start(want_mutex, "h", HIGH);
    EXPECT(uxTaskPriorityGet(NULL) == HIGH);
    start(note, "m", MEDIUM);
    strcat(order, "r");
    xSemaphoreGive(mutex);
    EXPECT(uxTaskPriorityGet(NULL) == RUNNER);
    EXPECT(strcmp(order, "rhm") == 0);
    vSemaphoreDelete(mutex);
    return NULL;
}

static const char *check_recursive_mutex(void)
{
    SemaphoreHandle_t recursive = xSemaphoreCreateRecursiveMutex();

    EXPECT(xSemaphoreTakeRecursive(recursive, 0) == pdTRUE);
    EXPECT(xSemaphoreTakeRecursive(recursive, 0) == pdTRUE);
    EXPECT(xSemaphoreGiveRecursive(recursive) == pdTRUE);
    EXPECT(xSemaphoreGiveRecursive(recursive) == pdTRUE);
    EXPECT(xSemaphoreGiveRecursive(recursive) == pdFALSE);
    vSemaphoreDelete(recursive);
    return NULL;
}

static void notify(void *task)
{
    xTaskNotify(task, 0x12345678, eSetValueWithOverwrite);
    vTaskDelete(NULL);
}

static const char *check_notification(void)
{
    uint32_t value = 0;

    start(notify, xTaskGetCurrentTaskHandle(), LOW);
    EXPECT(xTaskNotifyWait(0, 0xffffffff, &value, LONG) == pdTRUE);
    EXPECT(value == 0x12345678);
    EXPECT(xTaskNotifyWait(0, 0, &value, 0) == pdFALSE);
    return NULL;
}

static void set_bits(void *group)
{
    xEventGroupSetBits(group, 1);
    vTaskDelay(2);
    xEventGroupSetBits(group, 2);
    vTaskDelete(NULL);
}

static const char *check_event_group(void)
{
    EventGroupHandle_t group = xEventGroupCreate();

    start(set_bits, group, LOW);
    EXPECT(xEventGroupWaitBits(group, 3, pdTRUE, pdTRUE, LONG) == 3);
    EXPECT(xEventGroupGetBits(group) == 0);
    vEventGroupDelete(group);
    return NULL;
}

static SemaphoreHandle_t from_interrupt;
enum { SOFTWARE_INTERRUPT = 5 };

static void on_interrupt(void)
{
    BaseType_t switch_wanted = pdFALSE;

    strcat(order, "i");
    xSemaphoreGiveFromISR(from_interrupt, &switch_wanted);
    portYIELD_FROM_ISR(switch_wanted);
}

static void await_interrupt(void *letter)
{
    if (xSemaphoreTake(from_interrupt, LONG) == pdTRUE)
        strcat(order, letter);
    vTaskDelete(NULL);
}

/* What an interrupt wakes runs before the interrupted task goes on. */
static const char *check_interrupt(void)
{
    order[0] = 0;
    from_interrupt = xSemaphoreCreateBinary();
    gic_enable(SOFTWARE_INTERRUPT, on_interrupt);
    start(await_interrupt, "h", HIGH);
    taskENTER_CRITICAL();
    gic_raise(SOFTWARE_INTERRUPT);
    strcat(order, "c");                 /* masked: not yet */
    taskEXIT_CRITICAL();
    strcat(order, "r");
    EXPECT(strcmp(order, "cihr") == 0);
    vSemaphoreDelete(from_interrupt);
    return NULL;
}

static const char *check_heap(void)
{
    size_t before = xPortGetFreeHeapSize();
    void *block = pvPortMalloc(10000);

    EXPECT(block != NULL);
    EXPECT(((uintptr_t)block & 7) == 0);
    EXPECT(xPortGetFreeHeapSize() <= before - 10000);
    vPortFree(block);
    EXPECT(xPortGetFreeHeapSize() == before);
    return NULL;
}

const struct check kernel_checks[] = {
    { "tasks run in the order of their priorities", check_tasks },
    { "equal tasks share the time", check_time_slicing },
    { "queue", check_queue },
    { "semaphores", check_semaphores },
    { "mutex with priority inheritance", check_priority_inheritance },
    { "recursive mutex", check_recursive_mutex },
    { "task notification", check_notification },
    { "event group", check_event_group },
    { "interrupt wakes a task", check_interrupt },
    { "heap", check_heap },
    { NULL, NULL },
};
