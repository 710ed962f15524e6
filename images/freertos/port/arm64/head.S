/* SPDX-License-Identifier: MIT */
/*
 * From Xen's entry to C: the Image header, the first translation tables, MMU and caches on.
 *
 * The header asks to be loaded 32 KiB above a multiple of 2 MiB, as the image was linked. There
 * it stays, mapped to the linked address however many times 2 MiB lie between the two. Xen loads
 * it 32 KiB above the start of memory, which a domain with memory of its choice may have
 * elsewhere: then the image first copies itself up to the next such address. Until `virtual`
 * everything is position independent.
 */
#define XEN_CONSOLE_IO  18          /* __HYPERVISOR_console_io */
#define XEN_SCHED_OP    29          /* __HYPERVISOR_sched_op */

#define PAGE_MASK       0xfff
#define BLOCK_MASK      0x1fffff    /* of 2 MiB */
#define ADDRESS_BITS    39          /* T0SZ and T1SZ are 64 minus this */
/* A block: normal memory (attribute 0), shareable, read, write, execute. */
#define BOOT_BLOCK      0x701
#define BOOT_TABLE      0x3

/* Attribute 0: write-back, allocating. 1: device, nGnRE. */
#define MAIR            0x04ff
/* 4 KiB pages, walks write-back and shareable, both halves of 39 bits; the physical size is added. */
#define TCR             (25 | 0x3500 | 25 << 16 | 0xb5000000)
/* The bits that are one in ARMv8.0, and M, C, SA, I; off is A: unaligned access is fine. */
#define SCTLR           (0x30d00800 | 1 | 1 << 2 | 1 << 3 | 1 << 12)

    .section .head, "ax"
    .global _start
/*
 * In:  x0 = physical address of the device tree; MMU and data cache off, EL1.
 * Out: guest_boot(x0 = physical minus linked address, x1 = device tree), never returns.
 *
 * The header: Linux's Documentation/arch/arm64/booting.rst.
 */
_start:
    b       physical
    .word   0
    .quad   0x8000                  /* text_offset: 0x40008000 is linked, a multiple of 2 MiB and this */
    .quad   __image_end - _start    /* image_size, with stacks and .bss */
    .quad   0xa                     /* little-endian, 4 KiB pages, anywhere in memory */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .word   0

physical:
    msr     daifset, 0xf
    msr     spsel, 1
    mov     x19, x0
    adr     x20, _start
    ldr     x21, =_start
    sub     x22, x20, x21           /* x22 = physical - linked, kept to the end */
    tst     x22, PAGE_MASK
    b.ne    misplaced
    tst     x22, BLOCK_MASK
    b.eq    placed

/* From the end, as the two may overlap; this code lies in the first page, which stays. */
    add     x1, x22, BLOCK_MASK & ~PAGE_MASK
    and     x1, x1, ~BLOCK_MASK
    add     x1, x1, x21             /* x1 = where to */
    ldr     x2, =__image_end
    sub     x2, x2, x21
    sub     x3, x19, x1             /* the device tree must not lie there */
    cmp     x3, x2
    b.lo    misplaced
    ldr     x3, =__file_end
    sub     x3, x3, x21             /* the file's size: a multiple of 32 (guest.lds) */
1:  sub     x3, x3, 32
    add     x4, x20, x3
    add     x5, x1, x3
    dc      civac, x5               /* no older line may be written back over it */
    dsb     sy
    ldp     x6, x7, [x4]
    ldp     x8, x9, [x4, 16]
    stp     x6, x7, [x5]
    stp     x8, x9, [x5, 16]
    cbnz    x3, 1b
    dsb     sy
    ic      iallu
    dsb     sy
    isb
    mov     x0, x19
    br      x1

placed:
    sub     x0, x19, x22            /* the device tree, at the same distance */
    orr     x0, x0, x20
    lsr     x0, x0, ADDRESS_BITS
    cbnz    x0, misplaced

/* Tables: one that maps this code to where it is now, one for where it was linked. */
    ldr     x23, =boot_here
    add     x23, x23, x22
    ldr     x24, =boot_tables_end
    add     x24, x24, x22
    bl      forget_tables
    mov     x0, x23
1:  stp     xzr, xzr, [x0], 16
    cmp     x0, x24
    b.lo    1b

    ldr     x9, =BOOT_BLOCK
    lsr     x0, x20, 30
    orr     x1, x9, x0, lsl 30      /* the GiB with this code */
    str     x1, [x23, x0, lsl 3]
    add     x25, x23, 4096          /* boot_linked */
    add     x2, x25, 4096           /* the GiB where the image was linked */
    mov     x0, x21
    bl      map_gib
    add     x2, x2, 4096            /* the GiB with the device tree, if it is another */
    lsr     x1, x21, 30
    sub     x0, x19, x22
    cmp     x1, x0, lsr 30
    b.eq    2f
    bl      map_gib
2:  bl      forget_tables

    ldr     x0, =MAIR
    msr     mair_el1, x0
    ldr     x0, =TCR
    mrs     x1, id_aa64mmfr0_el1    /* PARange, of which 5 is the most with this kind of table */
    and     x1, x1, 0xf
    mov     x2, 5
    cmp     x1, x2
    csel    x1, x1, x2, lo
    orr     x0, x0, x1, lsl 32
    msr     tcr_el1, x0
    msr     ttbr0_el1, x23
    msr     ttbr1_el1, x23
    tlbi    vmalle1
    ic      iallu
    dsb     sy
    isb
    ldr     x0, =SCTLR
    msr     sctlr_el1, x0
    isb
    adr     x0, upper               /* the same code in the upper half: the lower one changes now */
    orr     x0, x0, -1 << ADDRESS_BITS
    br      x0
upper:
    msr     ttbr0_el1, x25
    isb
    tlbi    vmalle1
    dsb     sy
    isb
    ldr     x0, =virtual
    br      x0

/* In: x0 = linked address, x2 = its empty table, x22 = distance, x25 = the table above, x9 = attributes. Clobbers x0, x1, x3, x4. */
map_gib:
    lsr     x1, x0, 30
    orr     x3, x2, BOOT_TABLE
    str     x3, [x25, x1, lsl 3]
    lsl     x1, x1, 30
    add     x1, x1, x22
    orr     x1, x1, x9
    mov     x3, 0
    mov     x4, 0x200000
1:  str     x1, [x2, x3, lsl 3]
    add     x1, x1, x4
    add     x3, x3, 1
    cmp     x3, 512
    b.lo    1b
    ret

/* Drops what a cache may hold of the tables. In: x23, x24 = their begin and end. Clobbers x0..x2. */
forget_tables:
    dsb     sy
    mrs     x0, ctr_el0
    ubfx    x0, x0, 16, 4           /* DminLine: words, as a power of two */
    mov     x1, 4
    lsl     x1, x1, x0
    mov     x2, x23
1:  dc      ivac, x2
    add     x2, x2, x1
    cmp     x2, x24
    b.lo    1b
    dsb     sy
    ret

/* Nothing but Xen's own console can say it here. Crashes the domain. */
misplaced:
    mov     x0, 0                   /* CONSOLEIO_write */
    mov     x1, misplaced_text_end - misplaced_text
    adr     x2, misplaced_text
    mov     x16, XEN_CONSOLE_IO
    hvc     #0xea1
    mov     x0, 2                   /* SCHEDOP_shutdown */
    adr     x1, misplaced_reason
    mov     x16, XEN_SCHED_OP
    hvc     #0xea1
    b       .
misplaced_reason:
    .word   3                       /* SHUTDOWN_crash, a struct sched_shutdown */
misplaced_text:
    .ascii  "guest: cannot start: too little memory, or loaded beyond 512 GiB or not at a page\n"
misplaced_text_end:
    .balign 8
    .ltorg

    .section .text.head, "ax"
/* In: x22 = physical - linked, x19 = device tree; MMU on, running where linked. */
virtual:
    ldr     x0, =vectors
    msr     vbar_el1, x0
    mov     x0, 3 << 20             /* CPACR_EL1.FPEN: floating point for all */
    msr     cpacr_el1, x0
    isb
    msr     fpcr, xzr
    msr     fpsr, xzr
    ldr     x0, =__thread_start - 16
    msr     tpidr_el0, x0
    ldr     x0, =__svc_stack_top
    mov     sp, x0
    mov     x0, x22
    mov     x1, x19
    mov     x29, xzr
    mov     x30, xzr
    bl      guest_boot
    b       .

    .section .noinit, "aw", %nobits
    .balign 4096
boot_here:
    .space  4096
    .global boot_linked
boot_linked:
    .space  4096
    .space  2 * 4096
boot_tables_end:
