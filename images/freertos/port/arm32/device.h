/* SPDX-License-Identifier: MIT */
/*
 * Registers of devices that Xen emulates: it sees which CPU register an instruction loads or
 * stores, as long as that is a plain one without write-back. QEMU tells a 64-bit Xen the wrong
 * one of r13 and r14, which every mode has of its own: so it always is r0.
 * arm64/device.h says the same for the other width.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdint.h>

static inline uint32_t device_read32(const volatile uint32_t *at)
{
    register uint32_t value __asm__("r0");

    __asm__ volatile("ldr %0, %1" : "=r"(value) : "Q"(*at));
    return value;
}

static inline void device_write32(volatile uint32_t *at, uint32_t value)
{
    register uint32_t stored __asm__("r0") = value;

    __asm__ volatile("str %1, %0" : "=Q"(*at) : "r"(stored));
}

static inline void device_write8(volatile uint8_t *at, uint8_t value)
{
    register uint32_t stored __asm__("r0") = value;

    __asm__ volatile("strb %1, %0" : "=Q"(*at) : "r"(stored));
}

#endif
