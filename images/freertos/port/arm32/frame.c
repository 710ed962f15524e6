/* SPDX-License-Identifier: MIT */
/* The two frames on a stack: of a task that does not run, and of what a fault interrupted. */
#include "frame.h"

#include <FreeRTOS.h>
#include <task.h>

#include "fault.h"
#include "guest.h"
#include "port.h"

/* Bits of a new task's cpsr: SYS mode, FIQ masked, interrupts on. */
#define TASK_CPSR       0x5fu
#define CPSR_THUMB      0x20u
#define WRITE           (1u << 11)      /* of a DFSR */

/* The frame that restore_task expects, as if the task had been switched away before its first instruction. */
StackType_t *pxPortInitialiseStack(StackType_t *top, TaskFunction_t code, void *parameters)
{
    uint32_t entry = (uint32_t)code;
    int i;

    *--top = TASK_CPSR | (entry & 1 ? CPSR_THUMB : 0);
    *--top = entry & ~1u;
    *--top = (StackType_t)port_task_returned;
    for (i = 12; i > 0; i--)
        *--top = 0;
    *--top = (StackType_t)parameters;
    for (i = 0; i < 64; i++)            /* d0 to d31 */
        *--top = 0;
    *--top = 0;                         /* FPSCR */
    *--top = 0;                         /* critical nesting */
    return top;
}

void frame_read(const struct fault_frame *frame, struct fault *fault)
{
    uint32_t address = frame->pc;

    fault->pc = frame->pc;
    if (fault->kind == FAULT_DATA) {
        __asm__ volatile("mrc p15, 0, %0, c5, c0, 0" : "=r"(fault->status));
        __asm__ volatile("mrc p15, 0, %0, c6, c0, 0" : "=r"(address));
    } else if (fault->kind == FAULT_PREFETCH) {
        __asm__ volatile("mrc p15, 0, %0, c5, c0, 1" : "=r"(fault->status));
        __asm__ volatile("mrc p15, 0, %0, c6, c0, 2" : "=r"(address));
    }
    fault->address = address;
}

void frame_go_on_at(struct fault_frame *frame, void (*code)(void), uintptr_t sp)
{
    frame->sp = sp;
    frame->pc = (uint32_t)code;
    frame->cpsr &= ~CPSR_THUMB;
}

bool fault_was_write(uint32_t status)
{
    return status & WRITE;
}

/* The status's short-descriptor code in words. */
const char *fault_reason(uint32_t status)
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

void frame_print(const struct fault_frame *frame)
{
    for (unsigned int i = 0; i < 13; i++)
        printk("%s%s%u %08x%s", i % 5 ? " " : "    ", i < 10 ? " r" : "r", i,
               (unsigned int)frame->r[i], i % 5 == 4 ? "\n" : "");
    printk("  sp %08x  lr %08x\n     pc %08x cpsr %08x\n", (unsigned int)frame->sp,
           (unsigned int)frame->lr, (unsigned int)frame->pc, (unsigned int)frame->cpsr);
}
