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

#define CPSR_THUMB 0x20u

/* The guarded call in progress, if any. */
static struct {
    uint32_t sp;                /* 0: none */
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

static bool guarded(uint32_t cpsr)
{
    return guard.sp && (cpsr & CPSR_MODE) == MODE_SYS && guard.owner == xTaskGetCurrentTaskHandle();
}

/* The status's short-descriptor code in words. */
static const char *reason(uint32_t status)
{
    switch ((status & 0xf) | (status >> 6 & 0x10)) {
    case 0x01: return "alignment";
    case 0x02: return "breakpoint";
    case 0x05: case 0x07: return "nothing is mapped there";
    case 0x0d: case 0x0f: return "not permitted";
    case 0x08: return "nothing answers there";
    case 0x16: return "asynchronous external abort";
    default: return "other";
    }
}

static void read_status(struct fault *fault, const struct fault_frame *frame)
{
    fault->pc = frame->pc;
    fault->address = frame->pc;
    if (fault->kind == FAULT_DATA) {
        __asm__ volatile("mrc p15, 0, %0, c5, c0, 0" : "=r"(fault->status));
        __asm__ volatile("mrc p15, 0, %0, c6, c0, 0" : "=r"(fault->address));
    } else if (fault->kind == FAULT_PREFETCH) {
        __asm__ volatile("mrc p15, 0, %0, c5, c0, 1" : "=r"(fault->status));
        __asm__ volatile("mrc p15, 0, %0, c6, c0, 2" : "=r"(fault->address));
    }
}

static void print_fault(const struct fault *fault, uint32_t cpsr)
{
    if (fault->kind == FAULT_UNDEFINED)
        printk("*** undefined instruction at %08x", (unsigned int)fault->pc);
    else if (fault->kind == FAULT_PREFETCH)
        printk("*** cannot execute at %08x: %s", (unsigned int)fault->address, reason(fault->status));
    else
        printk("*** cannot %s %08x: %s", fault->status & 1u << 11 ? "write" : "read",
               (unsigned int)fault->address, reason(fault->status));
    printk(" (status %x) [task %s]\n", (unsigned int)fault->status, port_who(cpsr));
}

static void print_registers(const struct fault_frame *frame)
{
    for (unsigned int i = 0; i < 13; i++)
        printk("%s%s%u %08x%s", i % 5 ? " " : "    ", i < 10 ? " r" : "r", i,
               (unsigned int)frame->r[i], i % 5 == 4 ? "\n" : "");
    printk("  sp %08x  lr %08x\n     pc %08x cpsr %08x\n", (unsigned int)frame->sp,
           (unsigned int)frame->lr, (unsigned int)frame->pc, (unsigned int)frame->cpsr);
}

void fault_handle(uint32_t kind, struct fault_frame *frame)
{
    static bool before;
    struct fault fault = { .kind = (enum fault_kind)kind };

    read_status(&fault, frame);
    if (guarded(frame->cpsr)) {
        *guard.fault = fault;
        frame->sp = guard.sp;
        frame->pc = (uint32_t)fault_escape;
        frame->cpsr &= ~CPSR_THUMB;
        return;
    }
    if (before)                 /* a fault while reporting one: say no more */
        xen_shutdown(SHUTDOWN_crash);
    before = true;
    console_take_over();
    print_fault(&fault, frame->cpsr);
    print_registers(frame);
    guest_crash();
}

void assert_failed(const char *file, int line)
{
    if (guarded(cpsr_read())) {
        *guard.fault = (struct fault){ .kind = FAULT_ASSERT, .file = file, .line = line };
        fault_escape_to(guard.sp);
    }
    guest_panic("assertion failed at %s:%d", file, line);
}
