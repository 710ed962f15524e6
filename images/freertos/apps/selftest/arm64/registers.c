/* SPDX-License-Identifier: MIT */
#include "registers.h"

#define ALL_Q "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", \
    "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", \
    "v26", "v27", "v28", "v29", "v30", "v31"

/* `what` is ldp or stp. */
#define EACH_PAIR(what, at)                                                                     \
    what " q0, q1, [" at "]\n\t" what " q2, q3, [" at ", 32]\n\t"                               \
    what " q4, q5, [" at ", 64]\n\t" what " q6, q7, [" at ", 96]\n\t"                           \
    what " q8, q9, [" at ", 128]\n\t" what " q10, q11, [" at ", 160]\n\t"                       \
    what " q12, q13, [" at ", 192]\n\t" what " q14, q15, [" at ", 224]\n\t"                     \
    what " q16, q17, [" at ", 256]\n\t" what " q18, q19, [" at ", 288]\n\t"                     \
    what " q20, q21, [" at ", 320]\n\t" what " q22, q23, [" at ", 352]\n\t"                     \
    what " q24, q25, [" at ", 384]\n\t" what " q26, q27, [" at ", 416]\n\t"                     \
    what " q28, q29, [" at ", 448]\n\t" what " q30, q31, [" at ", 480]\n\t"

void registers_hold(const struct registers *in, struct registers *out, uint32_t duration)
{
    uint64_t start, now, old;

    __asm__ volatile(
        "mrs %[old], fpcr\n\t"
        EACH_PAIR("ldp", "%[from]")
        "ldr %w[now], [%[from], 512]\n\tmsr fpcr, %[now]\n\t"
        "mrs %[start], cntvct_el0\n"
        "1:\tsvc 0\n\t"
        "mrs %[now], cntvct_el0\n\t"
        "sub %w[now], %w[now], %w[start]\n\t"
        "cmp %w[now], %w[duration]\n\t"
        "b.lo 1b\n\t"
        EACH_PAIR("stp", "%[to]")
        "mrs %[now], fpcr\n\tstr %w[now], [%[to], 512]\n\t"
        "msr fpcr, %[old]"
        : [start] "=&r"(start), [now] "=&r"(now), [old] "=&r"(old)
        : [from] "r"(in), [to] "r"(out), [duration] "r"(duration)
        : ALL_Q, "cc", "memory");
}

void registers_spoil(void)
{
    __asm__ volatile("movi v0.16b, 0x55\n\tmovi v5.16b, 0x55\n\tmovi v9.16b, 0x55\n\t"
                     "movi v15.16b, 0x55\n\tmovi v31.16b, 0x55\n\tmsr fpcr, %0" :: "r"(0x00800000L));
}
