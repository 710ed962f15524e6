# SPDX-License-Identifier: MIT
# How the compiler makes code for 64-bit guests; the Makefile includes it.
#
# A compiler for Linux is told to forget it: no shared libraries, no C library of Linux but
# picolibc, no atomics that ask the kernel what the processor can do.
specs   := /usr/lib/picolibc/aarch64-linux-gnu/picolibc.specs
machine := -march=armv8-a -mno-outline-atomics -fno-pie -fno-stack-protector \
	-fno-asynchronous-unwind-tables $(if $(findstring linux,$(CROSS_COMPILE)),--specs=$(specs))
link    := -static -no-pie
