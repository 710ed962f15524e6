# SPDX-License-Identifier: MIT
# How the compiler makes code for 32-bit guests; the Makefile includes it.
machine := -mcpu=cortex-a15 -mfpu=neon-vfpv4 -mfloat-abi=hard -marm
link    :=

# head.S calls these before the image is where it was linked, with MMU, caches and floating point off.
anywhere := arm32/place fdt vpl011_early
$(anywhere:%=$(out)/obj/port/%.c.o): strict += -fpic -mgeneral-regs-only -mno-unaligned-access
