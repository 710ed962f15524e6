/* SPDX-License-Identifier: MIT */
/* The two frames on a stack: of a task that does not run, and of what a fault interrupted. */
#include "frame.h"

#include <string.h>

#include <FreeRTOS.h>
#include <task.h>

#include "fault.h"
#include "guest.h"
#include "port.h"

/* PSTATE of a new task: EL1 on SP_EL0, debug exceptions and FIQ masked, interrupts on. */
#define TASK_PSTATE     0x244u

/* The frame that restore_task expects; its order and size are those of vectors.S. */
struct task_frame {
    uint64_t critical_nesting, fpcr, fpsr, pstate, pc, lr, x[30];
    uint64_t q[64];
};

_Static_assert(sizeof(struct task_frame) == 800, "TASK_FRAME of vectors.S");
_Static_assert(__builtin_offsetof(struct task_frame, q) == 288, "TASK_Q of vectors.S");

/* Of an ESR_EL1: the exception's class, and what an abort says (ARM DDI 0487, D24.2.40). */
#define CLASS(status)   ((status) >> 26)
#define CODE(status)    ((status) & 0x3f)
#define WRITE           (1u << 6)

enum {
    UNDEFINED = 0x00, ILLEGAL_STATE = 0x0e, FETCH = 0x21, PC_ALIGNMENT = 0x22, DATA_ABORT = 0x25,
    SP_ALIGNMENT = 0x26, BREAKPOINT = 0x3c,
};

/* As if the task had been switched away before its first instruction. */
StackType_t *pxPortInitialiseStack(StackType_t *top, TaskFunction_t code, void *parameters)
{
    struct task_frame *frame;

    top = (StackType_t *)((uintptr_t)top & ~(uintptr_t)(portBYTE_ALIGNMENT - 1));
    frame = (struct task_frame *)top - 1;
    memset(frame, 0, sizeof *frame);
    frame->pstate = TASK_PSTATE;
    frame->pc = (uintptr_t)code;
    frame->lr = (uintptr_t)port_task_returned;
    frame->x[0] = (uintptr_t)parameters;
    return (StackType_t *)frame;
}

static uint32_t read_status(void)
{
    uint64_t status;

    __asm__ volatile("mrs %0, esr_el1" : "=r"(status));
    return (uint32_t)status;
}

static enum fault_kind kind_of(uint32_t status)
{
    switch (CLASS(status)) {
    case UNDEFINED: return FAULT_UNDEFINED;
    case FETCH: case PC_ALIGNMENT: return FAULT_PREFETCH;
    case DATA_ABORT: return FAULT_DATA;
    default: return FAULT_OTHER;
    }
}

void frame_fault(uint64_t vector, struct fault_frame *frame)
{
    fault_handle(vector ? FAULT_OTHER : kind_of(read_status()), frame);
}

void frame_read(const struct fault_frame *frame, struct fault *fault)
{
    uint64_t address = frame->pc;

    if (fault->kind == FAULT_DATA || fault->kind == FAULT_PREFETCH)
        __asm__ volatile("mrs %0, far_el1" : "=r"(address));
    fault->pc = frame->pc;
    fault->address = address;
    fault->status = read_status();
}

void frame_go_on_at(struct fault_frame *frame, void (*code)(void), uintptr_t sp)
{
    frame->sp = sp;
    frame->pc = (uintptr_t)code;
}

bool fault_was_write(uint32_t status)
{
    return status & WRITE;
}

static const char *abort_reason(uint32_t code)
{
    switch (code) {
    case 0x04: case 0x05: case 0x06: case 0x07: return "nothing is mapped there";
    case 0x0c: case 0x0d: case 0x0e: case 0x0f: return "not permitted";
    case 0x10: return "nothing answers there";
    case 0x21: return "alignment";
    default: return "other";
    }
}

const char *fault_reason(uint32_t status)
{
    switch (CLASS(status)) {
    case FETCH: case DATA_ABORT: return abort_reason(CODE(status));
    case PC_ALIGNMENT: return "alignment";
    case SP_ALIGNMENT: return "stack pointer that is not a multiple of 16";
    case BREAKPOINT: return "breakpoint";
    case ILLEGAL_STATE: return "illegal state";
    default: return "unexpected exception";
    }
}

void frame_print(const struct fault_frame *frame)
{
    for (unsigned int i = 0; i < 30; i++)
        printk("%s%s%u %016lx%s", i % 3 ? " " : "    ", i < 10 ? " x" : "x", i,
               (unsigned long)frame->x[i], i % 3 == 2 ? "\n" : "");
    printk("     lr %016lx  sp %016lx\n     pc %016lx pstate %08lx\n", (unsigned long)frame->x[30],
           (unsigned long)frame->sp, (unsigned long)frame->pc, (unsigned long)frame->pstate);
}
