/* SPDX-License-Identifier: MIT */
/*
 * Exception vectors, the two ways into the scheduler (SVC and IRQ), and faults.
 *
 * Tasks run in SYS mode on their own stacks. A task that does not run has this
 * frame on its stack, lowest address first, and pxTopOfStack points at it:
 *
 *   critical nesting, FPSCR, d0..d31, r0..r12, lr, pc, cpsr      (82 words)
 *
 * The VFP is saved always, so no task and no interrupt can see another's.
 */
    .syntax unified
    .arm

#define MODE_IRQ 0x12
#define MODE_SVC 0x13
#define MODE_ABT 0x17
#define MODE_UND 0x1b
#define MODE_SYS 0x1f

    .section .text.vectors, "ax"
    .balign 32
    .global vectors
vectors:
    b       .                       /* reset: never taken through here */
    b       undefined_entry
    b       svc_entry
    b       prefetch_entry
    b       data_entry
    b       .                       /* hypervisor trap: not in a guest */
    b       irq_entry
    b       .                       /* FIQ: Xen gives none */

/*
 * In:  an exception mode, IRQs masked, lr = where the task goes on, spsr = its cpsr.
 * Out: SYS mode; the whole context in the task's frame; r0..r3 free.
 */
    .macro save_task
    srsdb   sp!, #MODE_SYS
    cps     #MODE_SYS
    push    {r0-r12, lr}
    vpush   {d16-d31}
    vpush   {d0-d15}
    vmrs    r1, fpscr
    ldr     r0, =port_critical_nesting
    ldr     r0, [r0]
    push    {r0, r1}
    ldr     r0, =pxCurrentTCB
    ldr     r0, [r0]
    str     sp, [r0]
    .endm

/*
 * In:  any privileged mode, IRQs masked, pxCurrentTCB = the task to run.
 * Out: that task goes on where its frame says.
 */
restore_task:
    cps     #MODE_SYS
    ldr     r0, =pxCurrentTCB
    ldr     r0, [r0]
    ldr     sp, [r0]
    pop     {r0, r1}
    ldr     r2, =port_critical_nesting
    str     r0, [r2]
    vmsr    fpscr, r1
    vpop    {d0-d15}
    vpop    {d16-d31}
    pop     {r0-r12, lr}
    clrex
    rfeia   sp!

/* void port_start_first_task(void): in SVC mode, IRQs masked. Never returns. */
    .global port_start_first_task
    .type   port_start_first_task, %function
port_start_first_task:
    b       restore_task

/* portYIELD(): in SYS mode. The number in the instruction is not looked at. */
svc_entry:
    save_task
    cps     #MODE_SVC
    bl      vTaskSwitchContext
    b       restore_task

/* An interrupt: only the scheduler runs with IRQs on, so there always is a task. */
irq_entry:
    sub     lr, lr, #4
    save_task
    cps     #MODE_IRQ
    bl      gic_dispatch
    ldr     r1, =port_yield_pending
    ldr     r0, [r1]
    cmp     r0, #0
    beq     restore_task
    mov     r0, #0
    str     r0, [r1]
    bl      vTaskSwitchContext
    b       restore_task

/*
 * Faults. Build a struct fault_frame (fault.h) and give it to C:
 *   spsr, sp, lr of the interrupted mode, r0..r12, pc
 * fault_handle(r0 = kind, r1 = frame) returns only if someone expected the
 * fault; the frame then says where to go on.
 */
    .macro fault_entry kind, adjust
    sub     lr, lr, #\adjust
    push    {lr}
    push    {r0-r12}
    mrs     r0, spsr
    mrs     r3, cpsr
    and     r4, r0, #0x1f
    cmp     r4, #0x10               /* USR has the registers of SYS, and no way back */
    moveq   r4, #MODE_SYS
    orr     r4, r4, #0xc0
    msr     cpsr_c, r4              /* look at the banked registers, IRQs masked */
    mov     r1, sp
    mov     r2, lr
    msr     cpsr_c, r3
    push    {r0-r2}
    mov     r1, sp
    mov     r0, #\kind
    b       fault_common
    .endm

undefined_entry:
    push    {r0}                    /* ARM: pc + 4, Thumb: pc + 2 */
    mrs     r0, spsr
    tst     r0, #0x20
    pop     {r0}
    addne   lr, lr, #2
    fault_entry 0, 4
prefetch_entry:
    fault_entry 1, 4
data_entry:
    fault_entry 2, 8

fault_common:
    mov     r4, sp
    bic     sp, sp, #7
    bl      fault_handle
    mov     sp, r4
    pop     {r0-r2}
    msr     spsr_cxsf, r0
    mrs     r3, cpsr
    and     r4, r0, #0x1f
    orr     r4, r4, #0xc0
    msr     cpsr_c, r4
    mov     sp, r1
    mov     lr, r2
    msr     cpsr_c, r3
    pop     {r0-r12}
    ldmia   sp!, {pc}^

/*
 * int fault_guarded_call(void (*fn)(void *), void *arg, uint32_t *saved_sp)
 *
 * In:  r0 = function, r1 = its argument, r2 = where to note the stack pointer.
 * Out: r0 = 0 if fn returned. A fault handler may instead go on at
 *      fault_escape with sp = *saved_sp: then this returns 1.
 */
    .global fault_guarded_call
    .type   fault_guarded_call, %function
fault_guarded_call:
    push    {r4-r12, lr}
    vpush   {d8-d15}
    str     sp, [r2]
    mov     r3, r0
    mov     r0, r1
    blx     r3
    mov     r0, #0
    b       1f
    .global fault_escape
fault_escape:
    mov     r0, #1
1:  vpop    {d8-d15}
    pop     {r4-r12, lr}
    bx      lr

/* void fault_escape_to(uint32_t sp): as above, from the guarded task itself. */
    .global fault_escape_to
    .type   fault_escape_to, %function
fault_escape_to:
    mov     sp, r0
    b       fault_escape
