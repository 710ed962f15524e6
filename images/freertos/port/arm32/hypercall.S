/* SPDX-License-Identifier: MIT */
    .syntax unified
    .arm
    .arch_extension virt

    .section .text.hypercall, "ax"
/*
 * long hypercall(unsigned nr, a0, a1, a2, a3)
 *
 * In:  r0 = number, r1..r3 = first three arguments, [sp] = the fourth.
 * Out: r0 = result. Xen may destroy the argument registers; memory may change.
 */
    .global hypercall
    .type   hypercall, %function
hypercall:
    mov     r12, r0
    mov     r0, r1
    mov     r1, r2
    mov     r2, r3
    ldr     r3, [sp]
    hvc     #0xea1                  /* XEN_HYPERCALL_TAG */
    bx      lr
    .size   hypercall, . - hypercall
