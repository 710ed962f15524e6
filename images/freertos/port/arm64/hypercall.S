/* SPDX-License-Identifier: MIT */
    .section .text.hypercall, "ax"
/*
 * long hypercall(unsigned long nr, a0, a1, a2, a3)
 *
 * In:  x0 = number, x1 to x4 = arguments.
 * Out: x0 = result. Xen may destroy the argument registers; memory may change.
 */
    .global hypercall
    .type   hypercall, %function
hypercall:
    mov     x16, x0
    mov     x0, x1
    mov     x1, x2
    mov     x2, x3
    mov     x3, x4
    hvc     #0xea1                  /* XEN_HYPERCALL_TAG */
    ret
    .size   hypercall, . - hypercall
