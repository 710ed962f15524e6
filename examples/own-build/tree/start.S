/* The header of a zImage (Documentation/arch/arm/booting.rst of Linux), a stack, and main(). */
	.arch_extension virt
	.global	_start, hypercall
_start:
	.rept	8
	mov	r0, r0
	.endr
	b	start
	.word	0x016f2818, 0, image_size
start:	ldr	sp, =stack_top
	bl	main
1:	wfi
	b	1b

/* long hypercall(long argument0, long argument1, long number) */
hypercall:
	mov	r12, r2
	hvc	#0xea1
	bx	lr
