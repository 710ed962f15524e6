/* SPDX-License-Identifier: MIT */
/*
 * Exception vectors, the two ways into the scheduler (SVC and IRQ), and faults.
 *
 * All runs at EL1: tasks on SP_EL0 with stacks of their own, handlers on SP_EL1. Before the
 * first task main() has SP_EL1. A task that does not run has this frame on its stack, lowest
 * address first, and pxTopOfStack points at it (struct task_frame in frame.c):
 *
 *   critical nesting, FPCR, FPSR, SPSR, ELR, x30, x0..x29, q0..q31      (100 words)
 *
 * The vector registers are saved always, so no task and no interrupt can see another's.
 */
#define TASK_FRAME      800
#define TASK_X          48
#define TASK_Q          288
#define FAULT_FRAME     272             /* struct fault_frame */
#define CLASS_SVC       0x15            /* ESR_EL1.EC */

    .macro  vector target
    .balign 128
    b       \target
    .endm

    .section .text.vectors, "ax"
    .balign 2048
    .global vectors
vectors:
    vector  task_sync                   /* from a task */
    vector  task_irq
    vector  fault_other                 /* FIQ: Xen gives none */
    vector  fault_other                 /* SError */
    vector  fault_sync                  /* from a handler, the kernel or main() */
    vector  fault_other                 /* IRQ: they are masked there */
    vector  fault_other
    vector  fault_other
    .rept   8                           /* from EL0: nothing runs there */
    vector  fault_other
    .endr

/* Each register once; \op is stp or ldp, \base the frame's. x0 and x1 apart: restoring ends with them. */
    .macro  each_x op, base
    \op     x2, x3, [\base, TASK_X + 16]
    \op     x4, x5, [\base, TASK_X + 32]
    \op     x6, x7, [\base, TASK_X + 48]
    \op     x8, x9, [\base, TASK_X + 64]
    \op     x10, x11, [\base, TASK_X + 80]
    \op     x12, x13, [\base, TASK_X + 96]
    \op     x14, x15, [\base, TASK_X + 112]
    \op     x16, x17, [\base, TASK_X + 128]
    \op     x18, x19, [\base, TASK_X + 144]
    \op     x20, x21, [\base, TASK_X + 160]
    \op     x22, x23, [\base, TASK_X + 176]
    \op     x24, x25, [\base, TASK_X + 192]
    \op     x26, x27, [\base, TASK_X + 208]
    \op     x28, x29, [\base, TASK_X + 224]
    .endm

    .macro  each_q op, base
    \op     q0, q1, [\base, TASK_Q]
    \op     q2, q3, [\base, TASK_Q + 32]
    \op     q4, q5, [\base, TASK_Q + 64]
    \op     q6, q7, [\base, TASK_Q + 96]
    \op     q8, q9, [\base, TASK_Q + 128]
    \op     q10, q11, [\base, TASK_Q + 160]
    \op     q12, q13, [\base, TASK_Q + 192]
    \op     q14, q15, [\base, TASK_Q + 224]
    \op     q16, q17, [\base, TASK_Q + 256]
    \op     q18, q19, [\base, TASK_Q + 288]
    \op     q20, q21, [\base, TASK_Q + 320]
    \op     q22, q23, [\base, TASK_Q + 352]
    \op     q24, q25, [\base, TASK_Q + 384]
    \op     q26, q27, [\base, TASK_Q + 416]
    \op     q28, q29, [\base, TASK_Q + 448]
    \op     q30, q31, [\base, TASK_Q + 480]
    .endm

/*
 * In:  an exception taken from a task: SP_EL1 is the stack pointer, everything is masked.
 * Out: the whole context in the task's frame, SP_EL1 as before; x0..x30 free.
 */
    .macro  save_task
    msr     spsel, 0
    sub     sp, sp, TASK_FRAME
    stp     x0, x1, [sp, TASK_X]
    each_x  stp, sp
    each_q  stp, sp
    mrs     x0, elr_el1
    stp     x0, x30, [sp, 32]
    mrs     x0, fpsr
    mrs     x1, spsr_el1
    stp     x0, x1, [sp, 16]
    ldr     x0, =port_critical_nesting
    ldr     w0, [x0]
    mrs     x1, fpcr
    stp     x0, x1, [sp]
    ldr     x0, =pxCurrentTCB
    ldr     x0, [x0]
    mov     x1, sp
    str     x1, [x0]
    msr     spsel, 1
    .endm

/* void port_start_first_task(void): main()'s stack stays as it is. Never returns. */
    .global port_start_first_task
    .type   port_start_first_task, %function
port_start_first_task:
    ldr     x0, =__irq_stack_top
    mov     sp, x0

/*
 * In:  SP_EL1 is the stack pointer, IRQs masked, pxCurrentTCB = the task to run.
 * Out: that task goes on where its frame says.
 */
restore_task:
    ldr     x0, =pxCurrentTCB
    ldr     x0, [x0]
    ldr     x0, [x0]
    msr     spsel, 0
    mov     sp, x0
    ldp     x0, x1, [sp]
    ldr     x2, =port_critical_nesting
    str     w0, [x2]
    msr     fpcr, x1
    ldp     x0, x1, [sp, 16]
    msr     fpsr, x0
    msr     spsr_el1, x1
    ldp     x0, x30, [sp, 32]
    msr     elr_el1, x0
    each_q  ldp, sp
    each_x  ldp, sp
    ldp     x0, x1, [sp, TASK_X]
    add     sp, sp, TASK_FRAME
    eret

/* portYIELD(), or a fault of a task. The number in the instruction is not looked at. */
task_sync:
    str     x0, [sp, -16]!
    mrs     x0, esr_el1
    lsr     x0, x0, 26
    cmp     x0, CLASS_SVC
    ldr     x0, [sp], 16
    b.ne    fault_sync
    save_task
    bl      vTaskSwitchContext
    b       restore_task

/* An interrupt: only the scheduler runs with IRQs on, so there always is a task. */
task_irq:
    save_task
    ldr     x19, =port_in_interrupt
    mov     w0, 1
    str     w0, [x19]
    bl      gic_dispatch
    ldr     x1, =port_yield_pending
    ldr     w0, [x1]
    cbz     w0, 1f
    str     wzr, [x1]
    bl      vTaskSwitchContext
1:  str     wzr, [x19]
    b       restore_task

/*
 * Faults. Builds a struct fault_frame (frame.h) on the fault stack and gives it to C:
 * frame_fault(x0 = vector, x1 = frame) returns only if someone expected the fault; the
 * frame then says where that task goes on, with which stack. Registers are lost. TPIDR_EL1 and
 * TPIDRRO_EL0 are of no other use here.
 */
    .macro  fault_entry number
    msr     tpidr_el1, x0
    mov     x0, sp
    msr     tpidrro_el0, x0
    ldr     x0, =__fault_stack_top
    mov     sp, x0
    mrs     x0, tpidr_el1
    sub     sp, sp, FAULT_FRAME
    stp     x0, x1, [sp]
    mov     x0, \number
    b       fault_common
    .endm

fault_sync:
    fault_entry 0
fault_other:
    fault_entry 1

fault_common:
    stp     x2, x3, [sp, 16]
    stp     x4, x5, [sp, 32]
    stp     x6, x7, [sp, 48]
    stp     x8, x9, [sp, 64]
    stp     x10, x11, [sp, 80]
    stp     x12, x13, [sp, 96]
    stp     x14, x15, [sp, 112]
    stp     x16, x17, [sp, 128]
    stp     x18, x19, [sp, 144]
    stp     x20, x21, [sp, 160]
    stp     x22, x23, [sp, 176]
    stp     x24, x25, [sp, 192]
    stp     x26, x27, [sp, 208]
    stp     x28, x29, [sp, 224]
    mrs     x1, tpidrro_el0             /* the stack pointer that was in use */
    mrs     x2, sp_el0
    mrs     x3, elr_el1
    mrs     x4, spsr_el1
    tst     x4, 1
    csel    x1, x1, x2, ne
    stp     x30, x1, [sp, 240]
    stp     x3, x4, [sp, 256]
    mov     x1, sp
    bl      frame_fault
    ldr     x1, [sp, 248]
    ldp     x3, x4, [sp, 256]
    msr     sp_el0, x1
    msr     elr_el1, x3
    msr     spsr_el1, x4
    ldr     x0, =__irq_stack_top        /* empty while a task runs */
    mov     sp, x0
    eret

/*
 * int fault_guarded_call(void (*fn)(void *), void *arg, uintptr_t *saved_sp)
 *
 * In:  x0 = function, x1 = its argument, x2 = where to note the stack pointer.
 * Out: x0 = 0 if fn returned. A fault handler may instead go on at
 *      fault_escape with sp = *saved_sp: then this returns 1.
 */
    .global fault_guarded_call
    .type   fault_guarded_call, %function
fault_guarded_call:
    stp     x29, x30, [sp, -160]!
    stp     x19, x20, [sp, 16]
    stp     x21, x22, [sp, 32]
    stp     x23, x24, [sp, 48]
    stp     x25, x26, [sp, 64]
    stp     x27, x28, [sp, 80]
    stp     d8, d9, [sp, 96]
    stp     d10, d11, [sp, 112]
    stp     d12, d13, [sp, 128]
    stp     d14, d15, [sp, 144]
    mov     x3, sp
    str     x3, [x2]
    mov     x3, x0
    mov     x0, x1
    blr     x3
    mov     x0, 0
    b       1f
    .global fault_escape
fault_escape:
    mov     x0, 1
1:  ldp     x19, x20, [sp, 16]
    ldp     x21, x22, [sp, 32]
    ldp     x23, x24, [sp, 48]
    ldp     x25, x26, [sp, 64]
    ldp     x27, x28, [sp, 80]
    ldp     d8, d9, [sp, 96]
    ldp     d10, d11, [sp, 112]
    ldp     d12, d13, [sp, 128]
    ldp     d14, d15, [sp, 144]
    ldp     x29, x30, [sp], 160
    ret

/* void fault_escape_to(uintptr_t sp): as above, from the guarded task itself. */
    .global fault_escape_to
    .type   fault_escape_to, %function
fault_escape_to:
    mov     sp, x0
    b       fault_escape

    .section .bss.port_in_interrupt, "aw", %nobits
    .balign 4
    .global port_in_interrupt
port_in_interrupt:
    .space  4
