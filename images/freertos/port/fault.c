/* SPDX-License-Identifier: MIT */
/* Faults and failed assertions: prints a block of lines and ends, or leaves a guarded call. */
#include "fault.h"

#include <FreeRTOS.h>
#include <task.h>

#include "console.h"
#include "cpu.h"
#include "guest.h"
#include "port.h"
#include "xen.h"

/* The guarded call in progress, if any. */
static struct {
    uintptr_t sp;               /* 0: none */
    TaskHandle_t owner;
    struct fault *fault;
} guard;

bool fault_catch(struct fault *fault, void (*fn)(void *), void *arg)
{
    bool caught;

    *fault = (struct fault){ .kind = FAULT_NONE };
    guard.owner = xTaskGetCurrentTaskHandle();
    guard.fault = fault;
    caught = fault_guarded_call(fn, arg, &guard.sp);
    guard.sp = 0;
    return caught;
}

static bool guarded(uintptr_t state)
{
    return guard.sp && state_is_task(state) && guard.owner == xTaskGetCurrentTaskHandle();
}

static void print_fault(const struct fault *fault, uintptr_t state)
{
    if (fault->kind == FAULT_UNDEFINED)
        printk("*** undefined instruction at %08lx", (unsigned long)fault->pc);
    else if (fault->kind == FAULT_PREFETCH)
        printk("*** cannot execute at %08lx: %s", (unsigned long)fault->address, fault_reason(fault->status));
    else if (fault->kind == FAULT_DATA)
        printk("*** cannot %s %08lx: %s", fault_was_write(fault->status) ? "write" : "read",
               (unsigned long)fault->address, fault_reason(fault->status));
    else
        printk("*** %s at %08lx", fault_reason(fault->status), (unsigned long)fault->pc);
    printk(" (status %x) [task %s]\n", (unsigned int)fault->status, port_who(state));
}

void fault_handle(uint32_t kind, struct fault_frame *frame)
{
    static bool before;
    struct fault fault = { .kind = (enum fault_kind)kind };

    frame_read(frame, &fault);
    if (guarded(frame_state(frame))) {
        *guard.fault = fault;
        frame_go_on_at(frame, fault_escape, guard.sp);
        return;
    }
    if (before)                 /* a fault while reporting one: say no more */
        xen_shutdown(SHUTDOWN_crash);
    before = true;
    console_take_over();
    print_fault(&fault, frame_state(frame));
    frame_print(frame);
    guest_crash();
}

void assert_failed(const char *file, int line)
{
    if (guarded(cpu_state())) {
        *guard.fault = (struct fault){ .kind = FAULT_ASSERT, .file = file, .line = line };
        fault_escape_to(guard.sp);
    }
    guest_panic("assertion failed at %s:%d", file, line);
}
