/* SPDX-License-Identifier: MIT */
/*
 * From Xen's entry to C: zImage header, first translation table, MMU and caches on.
 *
 * `xl` loads the image at the start of RAM plus 32 KiB, as it was linked: it stays
 * there, mapped to the linked address, however many whole MiB lie between the two.
 * Xen's own loader of domains in the device tree chooses a multiple of 2 MiB near
 * the end of the first bank: from there the image is copied down first (place.c).
 * Until `virtual` everything is position independent.
 */
    .syntax unified
    .arm
    .arch_extension virt

#define XEN_CONSOLE_IO  18          /* __HYPERVISOR_console_io */
#define XEN_SCHED_OP    29          /* __HYPERVISOR_sched_op */

/* 1 MiB section, read, write, execute: normal memory, write-back, shareable. */
#define BOOT_SECTION    0x0001140e
/* Table walks: inner and outer write-back, shareable. */
#define TTBR_CACHED     0x4a

/* guest.lds: place.c and what it calls run where nothing has been relocated. */
    .global __without_got
    .set    __without_got, 1

    .section .head, "ax"
    .global _start
/*
 * In:  r2 = physical address of the device tree; MMU and caches off, SVC mode.
 * Out: guest_boot(r0 = physical minus linked address, r1 = device tree), never returns.
 */
_start:
    .rept   8
    mov     r0, r0
    .endr
    b       physical
    .word   0x016f2818              /* zImage magic, at offset 0x24 */
    .word   0                       /* start: any address */
    .word   __file_end - _start     /* end */

physical:
    cpsid   aif, #0x13
    mov     r8, r2
    adr     r4, _start
    ldr     r5, =_start
    sub     r6, r4, r5              /* r6 = physical - linked, kept to the end */
    lsls    r0, r6, #12
    beq     placed

/* Copies the file to where place_image() says, a cache line at a time, and begins anew there. */
    mov     sp, r4                  /* nothing lies right below the image */
    mov     r0, r8
    mov     r1, r4
    adr     r2, extent
    bl      place_image
    cmp     r0, #0
    beq     misplaced
    ldr     r1, extent + 4          /* file size */
    mov     r2, r0
1:  mcr     p15, 0, r2, c7, c14, 1  /* DCCIMVAC: no older line may be written back over it */
    dsb
    ldmia   r4!, {r9-r12}
    stmia   r2!, {r9-r12}
    ldmia   r4!, {r9-r12}
    stmia   r2!, {r9-r12}
    subs    r1, r1, #32
    bhi     1b
    dsb
    mov     r1, #0
    mcr     p15, 0, r1, c7, c5, 0   /* ICIALLU */
    mcr     p15, 0, r1, c7, c5, 6   /* BPIALL */
    dsb
    isb
    mov     r2, r8
    bx      r0

extent:                             /* struct extent (place.h) */
    .word   _start
    .word   __file_end - _start
    .word   __image_end - _start

placed:
    ldr     r7, =boot_l1
    add     r7, r7, r6              /* r7 = table, physical */
    mov     r0, #0
    mov     r1, #0
1:  str     r0, [r7, r1, lsl #2]
    add     r1, r1, #1
    cmp     r1, #4096
    blo     1b

    ldr     r9, =BOOT_SECTION
    lsr     r0, r4, #20             /* this code where it is now */
    orr     r1, r9, r0, lsl #20
    str     r1, [r7, r0, lsl #2]
    lsr     r0, r5, #20             /* the image where it was linked */
    ldr     r2, =__image_end - 1
    lsr     r2, r2, #20
    bl      map_linked
    sub     r0, r8, r6              /* the device tree, at most 2 MiB, at the same distance */
    lsr     r0, r0, #20
    add     r2, r0, #2
    bl      map_linked

    mov     r0, #0                  /* drop what a cache may hold of the table */
1:  add     r1, r7, r0
    mcr     p15, 0, r1, c7, c6, 1   /* DCIMVAC */
    add     r0, r0, #32
    cmp     r0, #16384
    blo     1b
    mov     r0, #0
    mcr     p15, 0, r0, c7, c5, 0   /* ICIALLU */
    mcr     p15, 0, r0, c7, c5, 6   /* BPIALL */
    mcr     p15, 0, r0, c8, c7, 0   /* TLBIALL */
    mcr     p15, 0, r0, c2, c0, 2   /* TTBCR: short descriptors, TTBR0 alone */
    orr     r1, r7, #TTBR_CACHED
    mcr     p15, 0, r1, c2, c0, 0   /* TTBR0 */
    mov     r1, #1
    mcr     p15, 0, r1, c3, c0, 0   /* DACR: domain 0 is checked */
    dsb
    isb
    mrc     p15, 0, r1, c1, c0, 0   /* SCTLR */
    ldr     r2, =0x7000200a         /* off: TE, AFE, TRE, V (high vectors), A */
    bic     r1, r1, r2
    ldr     r2, =0x1805             /* on: I, Z, C, M */
    orr     r1, r1, r2
    mcr     p15, 0, r1, c1, c0, 0
    isb
    ldr     pc, =virtual

/* In: r0..r2 = first and last linked MiB, r6 = distance, r7 = table, r9 = attributes. Clobbers r0, r1, r3. */
map_linked:
1:  add     r1, r6, r0, lsl #20
    orr     r1, r1, r9
    lsl     r3, r0, #2
    str     r1, [r7, r3]
    add     r0, r0, #1
    cmp     r0, r2
    bls     1b
    bx      lr

/* place_image() has said why where there is a PL011. Say it on Xen's console too, and crash the domain. */
misplaced:
    mov     r0, #0                  /* CONSOLEIO_write */
    mov     r1, #(misplaced_text_end - misplaced_text)
    adr     r2, misplaced_text
    mov     r12, #XEN_CONSOLE_IO
    hvc     #0xea1
    mov     r0, #2                  /* SCHEDOP_shutdown */
    adr     r1, misplaced_reason
    mov     r12, #XEN_SCHED_OP
    hvc     #0xea1
    b       .
misplaced_reason:
    .word   3                       /* SHUTDOWN_crash, a struct sched_shutdown */
misplaced_text:
    .ascii  "guest: cannot move to the start of its memory: too little of it\n"
misplaced_text_end:
    .align  2
    .ltorg

    .section .text.head, "ax"
/* In: r6 = physical - linked, r8 = device tree; MMU on, running where linked. */
virtual:
    ldr     r0, =vectors
    mcr     p15, 0, r0, c12, c0, 0  /* VBAR */
    mrc     p15, 0, r0, c1, c0, 2   /* CPACR: VFP and NEON for all */
    orr     r0, r0, #0xf00000
    mcr     p15, 0, r0, c1, c0, 2
    isb
    mov     r0, #0x40000000         /* FPEXC.EN */
    vmsr    fpexc, r0
    mov     r0, #0
    vmsr    fpscr, r0

    cps     #0x17                   /* ABT and UND share the fault stack */
    ldr     sp, =__fault_stack_top
    cps     #0x1b
    ldr     sp, =__fault_stack_top
    cps     #0x12
    ldr     sp, =__irq_stack_top
    cps     #0x1f                   /* SYS gets a stack of its own when the first task starts */
    mov     sp, #0
    cps     #0x13
    ldr     sp, =__svc_stack_top
    mov     r0, r6
    mov     r1, r8
    bl      guest_boot
    b       .

    .section .noinit, "aw", %nobits
    .balign 16384
    .global boot_l1
boot_l1:
    .space  16384
