/* SPDX-License-Identifier: MIT */
/*
 * Registers of devices that Xen emulates: it sees which CPU register an instruction loads or
 * stores, as long as that is a plain one without write-back.
 * arm32/device.h says the same for the other width.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdint.h>

static inline uint32_t device_read32(const volatile uint32_t *at)
{
    uint32_t value;

    __asm__ volatile("ldr %w0, %1" : "=r"(value) : "Q"(*at));
    return value;
}

static inline void device_write32(volatile uint32_t *at, uint32_t value)
{
    __asm__ volatile("str %w1, %0" : "=Q"(*at) : "rZ"(value));
}

static inline void device_write8(volatile uint8_t *at, uint8_t value)
{
    __asm__ volatile("strb %w1, %0" : "=Q"(*at) : "rZ"(value));
}

#endif
