/* SPDX-License-Identifier: MIT */
/*
 * Timing trace: what the kernel, the interrupts and the application do, as 16-byte records
 * in a ring in the guest's memory. Only dom0 reads it, from outside; the guest makes no
 * hypercall and waits for nobody. Without LAB_TRACE all of this compiles to nothing.
 *
 * This header is included by FreeRTOSConfig.h (the kernel's trace macros are at its end)
 * and by applications that mark their own moments.
 */
#ifndef LAB_TRACE_H
#define LAB_TRACE_H

#ifndef __ASSEMBLER__
#include <stdint.h>

/* What happened. The record's task is the one that ran, unless the comment says otherwise. */
enum trace_event {
    TRACE_SWITCH_IN = 1,        /* argument: priority */
    TRACE_SWITCH_OUT,
    TRACE_READY,                /* task: who became ready */
    TRACE_DELAY,                /* ticks */
    TRACE_DELAY_UNTIL,          /* the tick at which it wakes */
    TRACE_TASK_CREATE,          /* task: the new one; priority */
    TRACE_TASK_DELETE,          /* task: the deleted one */
    TRACE_QUEUE_SEND,           /* address of the queue (its low 32 bits); so to SEM_TAKE_BLOCK */
    TRACE_QUEUE_SEND_BLOCK,
    TRACE_QUEUE_RECEIVE,
    TRACE_QUEUE_RECEIVE_BLOCK,
    TRACE_SEM_GIVE,
    TRACE_SEM_TAKE,
    TRACE_SEM_TAKE_BLOCK,
    TRACE_MUTEX_INHERIT,        /* task: the holder; its new priority */
    TRACE_MUTEX_DISINHERIT,     /* task: the holder; its new priority */
    TRACE_TICK,                 /* the tick count */
    TRACE_IRQ_ENTER,            /* interrupt id */
    TRACE_IRQ_EXIT,             /* interrupt id */
    TRACE_NOTIFY,               /* id of the task that is notified */
    TRACE_NOTIFY_TAKE_BLOCK,
    TRACE_MARK = 32,            /* the user's value */
    TRACE_PERIOD,               /* microseconds */
    TRACE_DEADLINE,             /* microseconds after the release */
    TRACE_JOB_BEGIN,            /* job number */
    TRACE_JOB_END,              /* job number */
    TRACE_RELEASE,              /* job number; the counter is when it ought to start */
};

#if LAB_TRACE

/* The calling task's moments. A job is what a periodic task does in one of its periods. */
void trace_mark(uint32_t value);
void trace_period(uint32_t microseconds);
void trace_deadline(uint32_t microseconds);
void trace_job_begin(uint32_t job);
void trace_job_end(uint32_t job);

/* When job `job` ought to start, as a value of counter_physical(). */
void trace_release(uint32_t job, uint64_t counter);

/* For the port and the kernel. Any context; interrupts are held off for some 25 instructions. */
void trace_init(uint32_t counter_hz);
void trace_start(void);
void trace_event(uint32_t event, uint32_t argument);
void trace_of(uint32_t event, uint32_t task, uint32_t argument);
void trace_queue(uint32_t event_of_queue, uint32_t type, const void *queue);
void trace_created(uint32_t task, uint32_t priority, const char *name);
void trace_running(uint32_t task, uint32_t priority);

/* The kernel's trace macros, expanded in tasks.c and queue.c; for V9, V10 and V11. */
#define traceTASK_SWITCHED_IN() \
    trace_running(pxCurrentTCB->uxTCBNumber, pxCurrentTCB->uxPriority)
#define traceMOVED_TASK_TO_READY_STATE(tcb)     trace_of(TRACE_READY, (tcb)->uxTCBNumber, 0)
#define traceTASK_DELAY()                       trace_event(TRACE_DELAY, xTicksToDelay)
#define traceTASK_DELAY_UNTIL(wake)             trace_event(TRACE_DELAY_UNTIL, (wake))
#define traceTASK_CREATE(tcb) \
    trace_created((tcb)->uxTCBNumber, (tcb)->uxPriority, (tcb)->pcTaskName)
#define traceTASK_DELETE(tcb)                   trace_of(TRACE_TASK_DELETE, (tcb)->uxTCBNumber, 0)
#define traceTASK_INCREMENT_TICK(before)        trace_event(TRACE_TICK, (before) + 1)
/* Called when the tick count has been stepped already. */
#define traceINCREASE_TICK_COUNT(ticks)         trace_event(TRACE_TICK, xTickCount)
#define traceTASK_PRIORITY_INHERIT(holder, priority) \
    trace_of(TRACE_MUTEX_INHERIT, ((TCB_t *)(holder))->uxTCBNumber, (priority))
#define traceTASK_PRIORITY_DISINHERIT(holder, priority) \
    trace_of(TRACE_MUTEX_DISINHERIT, ((TCB_t *)(holder))->uxTCBNumber, (priority))
#define traceTASK_NOTIFY(...)                   trace_event(TRACE_NOTIFY, pxTCB->uxTCBNumber)
#define traceTASK_NOTIFY_FROM_ISR(...)          trace_event(TRACE_NOTIFY, pxTCB->uxTCBNumber)
#define traceTASK_NOTIFY_GIVE_FROM_ISR(...)     trace_event(TRACE_NOTIFY, pxTCB->uxTCBNumber)
#define traceTASK_NOTIFY_TAKE_BLOCK(...)        trace_event(TRACE_NOTIFY_TAKE_BLOCK, 0)
#define traceTASK_NOTIFY_WAIT_BLOCK(...)        trace_event(TRACE_NOTIFY_TAKE_BLOCK, 0)

#define TRACE_QUEUE(event, queue)               trace_queue((event), (queue)->ucQueueType, (queue))
#define traceQUEUE_SEND(queue)                  TRACE_QUEUE(TRACE_QUEUE_SEND, queue)
#define traceQUEUE_SEND_FROM_ISR(queue)         TRACE_QUEUE(TRACE_QUEUE_SEND, queue)
#define traceBLOCKING_ON_QUEUE_SEND(queue)      TRACE_QUEUE(TRACE_QUEUE_SEND_BLOCK, queue)
#define traceQUEUE_RECEIVE(queue)               TRACE_QUEUE(TRACE_QUEUE_RECEIVE, queue)
#define traceQUEUE_RECEIVE_FROM_ISR(queue)      TRACE_QUEUE(TRACE_QUEUE_RECEIVE, queue)
#define traceBLOCKING_ON_QUEUE_RECEIVE(queue)   TRACE_QUEUE(TRACE_QUEUE_RECEIVE_BLOCK, queue)

#else

static inline void trace_mark(uint32_t value) { (void)value; }
static inline void trace_period(uint32_t microseconds) { (void)microseconds; }
static inline void trace_deadline(uint32_t microseconds) { (void)microseconds; }
static inline void trace_job_begin(uint32_t job) { (void)job; }
static inline void trace_job_end(uint32_t job) { (void)job; }
static inline void trace_release(uint32_t job, uint64_t counter) { (void)job; (void)counter; }
static inline void trace_init(uint32_t counter_hz) { (void)counter_hz; }
static inline void trace_start(void) {}
static inline void trace_event(uint32_t event, uint32_t argument) { (void)event; (void)argument; }

#endif
#endif
#endif
