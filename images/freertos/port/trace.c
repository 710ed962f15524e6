/* SPDX-License-Identifier: MIT */
/*
 * The ring. Record n lies at n % capacity; `head` counts the records ever written and is
 * stored after the record, so a reader that copies records and then looks at `head` again
 * knows which of them may have been overwritten meanwhile.
 */
#include "trace.h"

#if LAB_TRACE

#include <string.h>

#include <FreeRTOS.h>
#include <task.h>

#include "counters.h"
#include "cpu.h"

#ifndef LAB_TRACE_RECORDS
#define LAB_TRACE_RECORDS 65536
#endif
#if LAB_TRACE_RECORDS < 256 || (LAB_TRACE_RECORDS & (LAB_TRACE_RECORDS - 1))
#error "LAB_TRACE_RECORDS must be a power of two, at least 256"
#endif
#if configUSE_TRACE_FACILITY != 1
#error "LAB_TRACE needs configUSE_TRACE_FACILITY 1: tasks and queues have their numbers from it"
#endif

enum { TASK_SLOTS = 64, NAME_SIZE = 16 };

struct record {
    uint64_t counter;
    uint32_t event_and_task;    /* event below, task above */
    uint32_t argument;
};

struct task {
    uint32_t id, priority;
    char name[NAME_SIZE];
    uint64_t reserved;
};

/* Dom0 finds it by this name in the ELF file. Little-endian, as the machine is. */
struct lab_trace {
    char magic[8];
    uint32_t record_size, capacity;
    uint64_t head;
    uint64_t frequency;
    uint32_t task_slots, tasks_used, tick_hz;
    uint32_t reserved[5];
    struct task tasks[TASK_SLOTS];
    struct record records[LAB_TRACE_RECORDS];
};

_Static_assert(offsetof(struct lab_trace, tasks) == 64, "the header's size is part of the format");
_Static_assert(sizeof(struct task) == 32 && sizeof(struct record) == 16, "so are these");

struct lab_trace lab_trace __attribute__((aligned(4096)));
static uint32_t running;        /* id of the task that runs, 0 before the first */

static inline uintptr_t hold_interrupts(void)
{
    uintptr_t state = cpu_state();

    irq_disable();
    return state;
}

/* Interrupts are off: nothing comes between the counter and the record's place. */
static inline void put(uint64_t counter, uint32_t event_and_task, uint32_t argument)
{
    uint64_t head = lab_trace.head;
    struct record *record = &lab_trace.records[(uint32_t)head % LAB_TRACE_RECORDS];

    record->counter = counter;
    record->event_and_task = event_and_task;
    record->argument = argument;
    store_last(&lab_trace.head, head + 1);
}

static inline void put_now(uint32_t event_and_task, uint32_t argument)
{
    uintptr_t state = hold_interrupts();

    put(physical_count(), event_and_task, argument);
    irq_as_in(state);
}

void trace_event(uint32_t event, uint32_t argument)
{
    put_now(event | running << 16, argument);
}

void trace_of(uint32_t event, uint32_t task, uint32_t argument)
{
    put_now(event | task << 16, argument);
}

void trace_release(uint32_t job, uint64_t counter)
{
    uintptr_t state = hold_interrupts();

    put(counter, TRACE_RELEASE | running << 16, job);
    irq_as_in(state);
}

/* Semaphores and mutexes are queues of another type; the kernel's numbers for it are 1 and up. */
void trace_queue(uint32_t event, uint32_t type, const void *queue)
{
    static const uint8_t semaphore[] = {
        [TRACE_QUEUE_SEND] = TRACE_SEM_GIVE, [TRACE_QUEUE_SEND_BLOCK] = TRACE_QUEUE_SEND_BLOCK,
        [TRACE_QUEUE_RECEIVE] = TRACE_SEM_TAKE, [TRACE_QUEUE_RECEIVE_BLOCK] = TRACE_SEM_TAKE_BLOCK,
    };

    trace_event(type ? semaphore[event] : event, (uint32_t)(uintptr_t)queue);
}

/* In a critical section of the kernel. Tasks beyond the table have no name, but records. */
void trace_created(uint32_t task, uint32_t priority, const char *name)
{
    if (lab_trace.tasks_used < TASK_SLOTS) {
        struct task *slot = &lab_trace.tasks[lab_trace.tasks_used];

        slot->id = task;
        slot->priority = priority;
        strncpy(slot->name, name, NAME_SIZE - 1);
        barrier_data();
        lab_trace.tasks_used++;
    }
    trace_of(TRACE_TASK_CREATE, task, priority);
}

/* The scheduler has chosen. Also told when it chose the same task again: that is no event. */
void trace_running(uint32_t task, uint32_t priority)
{
    if (task == running)
        return;
    if (running)
        trace_of(TRACE_SWITCH_OUT, running, 0);
    running = task;
    trace_of(TRACE_SWITCH_IN, task, priority);
}

void trace_init(uint32_t counter_hz)
{
    lab_trace.record_size = sizeof(struct record);
    lab_trace.capacity = LAB_TRACE_RECORDS;
    lab_trace.frequency = counter_hz;
    lab_trace.task_slots = TASK_SLOTS;
    lab_trace.tick_hz = configTICK_RATE_HZ;
    barrier_data();
    memcpy(lab_trace.magic, "XLTRACE1", sizeof lab_trace.magic);
}

/* The first task is not switched in by the scheduler but by the port. */
void trace_start(void)
{
    TaskStatus_t status;

    vTaskGetInfo(NULL, &status, pdFALSE, eReady);
    trace_running(status.xTaskNumber, status.uxCurrentPriority);
}

void trace_mark(uint32_t value)
{
    trace_event(TRACE_MARK, value);
}

void trace_period(uint32_t microseconds)
{
    trace_event(TRACE_PERIOD, microseconds);
}

void trace_deadline(uint32_t microseconds)
{
    trace_event(TRACE_DEADLINE, microseconds);
}

void trace_job_begin(uint32_t job)
{
    trace_event(TRACE_JOB_BEGIN, job);
}

void trace_job_end(uint32_t job)
{
    trace_event(TRACE_JOB_END, job);
}

#endif
