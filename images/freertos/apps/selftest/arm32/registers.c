/* SPDX-License-Identifier: MIT */
#include "registers.h"

#define ALL_D "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12", \
    "d13", "d14", "d15", "d16", "d17", "d18", "d19", "d20", "d21", "d22", "d23", "d24", "d25", \
    "d26", "d27", "d28", "d29", "d30", "d31"

void registers_hold(const struct registers *in, struct registers *out, uint32_t duration)
{
    const void *from = in;
    void *to = out;
    uint32_t start, now, high, old;

    __asm__ volatile(
        "vmrs %[old], fpscr\n\t"
        "vldmia %[from]!, {d0-d15}\n\tvldmia %[from]!, {d16-d31}\n\t"
        "ldr %[now], [%[from]]\n\tvmsr fpscr, %[now]\n\t"
        "mrrc p15, 1, %[start], %[high], c14\n"
        "1:\tsvc 0\n\t"
        "mrrc p15, 1, %[now], %[high], c14\n\t"
        "sub %[now], %[now], %[start]\n\t"
        "cmp %[now], %[duration]\n\t"
        "blo 1b\n\t"
        "vstmia %[to]!, {d0-d15}\n\tvstmia %[to]!, {d16-d31}\n\t"
        "vmrs %[now], fpscr\n\tstr %[now], [%[to]]\n\t"
        "vmsr fpscr, %[old]"
        : [from] "+r"(from), [to] "+r"(to), [start] "=&r"(start), [now] "=&r"(now),
          [high] "=&r"(high), [old] "=&r"(old)
        : [duration] "r"(duration)
        : ALL_D, "cc", "memory");
}

void registers_spoil(void)
{
    __asm__ volatile("vmov.i8 q0, #0x55\n\tvmov.i8 q5, #0x55\n\tvmov.i8 q9, #0x55\n\t"
                     "vmov.i8 q15, #0x55\n\tvmsr fpscr, %0" :: "r"(0x00800000));
}
