/*
 * The zImage header of an uncompressed dom0 kernel, and the code that puts the kernel where
 * it was linked to lie: TEXT_OFFSET bytes above the start of RAM.
 *
 * Entered by Xen like any ARM kernel (Documentation/arch/arm/booting.rst): MMU and data
 * cache off, interrupts masked, r0 = 0, r1 = ~0, r2 = device tree. Those three reach the
 * kernel unchanged; r3 to r12, sp, lr and the flags are used.
 *
 * TEXT_OFFSET and IMAGE_SIZE (a multiple of 32, the bytes that follow this stub) are given
 * when it is assembled. The builder has checked that source and destination do not overlap.
 */
	.syntax	unified
	.arch	armv7-a
	.arm
	.text
	.global	_start
_start:
	.rept	8
	mov	r0, r0
	.endr
	b	copy
	.word	0x016f2818		@ zImage
	.word	0			@ may be loaded anywhere
	.word	end - _start + IMAGE_SIZE
	.word	0x04030201		@ byte order

copy:
	mov	r3, pc			@ RAM starts at a multiple of 128 MiB, as
	and	r3, r3, #0xf8000000	@ the kernel's own unpacker takes it to
	ldr	r4, =TEXT_OFFSET
	add	r3, r3, r4		@ r3: where the kernel must lie
	adr	r12, end		@ r12: where it is
	ldr	lr, =IMAGE_SIZE
	add	lr, r12, lr		@ lr: its end
	mov	sp, r3			@ no stack is needed: keep the entry address there
1:	ldmia	r12!, {r4-r11}
	stmia	r3!, {r4-r11}
	cmp	r12, lr
	blo	1b

	dsb
	mov	r4, #0
	mcr	p15, 0, r4, c7, c5, 0	@ ICIALLU: what was fetched before is stale
	mcr	p15, 0, r4, c7, c5, 6	@ BPIALL
	dsb
	isb
	bx	sp
	.ltorg
	.balign	32
end:
