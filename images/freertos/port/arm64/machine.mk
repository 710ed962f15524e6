# SPDX-License-Identifier: MIT
# How the compiler makes code for 64-bit guests; the Makefile includes it.
#
# A compiler for Linux is told to forget it: no shared libraries, no C library of Linux but
# picolibc, no atomics that ask the kernel what the processor can do.
specs   := $(if $(findstring linux,$(CROSS_COMPILE)),/usr/lib/picolibc/aarch64-linux-gnu/picolibc.specs)
$(if $(specs),$(call need,no $(specs): the package is picolibc-aarch64-linux-gnu,$(wildcard $(specs))))
machine := -march=armv8-a -mno-outline-atomics -fno-pie -fno-stack-protector \
	-fno-asynchronous-unwind-tables $(specs:%=--specs=%)
link    := -static -no-pie
