/* SPDX-License-Identifier: MIT */
/* What of the checks is for one width alone: arm32/registers.c and arm64/registers.c. */
#ifndef REGISTERS_H
#define REGISTERS_H

#include <stdint.h>

#if defined(__aarch64__)
enum { REGISTER_WORDS = 64 };                                   /* q0 to q31 */
enum { CODE_RETURN = 0xd65f03c0, CODE_UNDEFINED = 0 };          /* ret; udf #0 */
#else
enum { REGISTER_WORDS = 32 };                                   /* d0 to d31 */
enum { CODE_RETURN = 0xe12fff1e, CODE_UNDEFINED = 0xe7f000f0 }; /* bx lr; udf #0 */
#endif

struct registers {
    uint64_t words[REGISTER_WORDS];
    uint32_t rounding;                  /* FPSCR or FPCR */
};

/*
 * Loads every floating point register from `in`, yields again and again until the counter's
 * low word has moved by `duration`, and stores every register to `out`.
 */
void registers_hold(const struct registers *in, struct registers *out, uint32_t duration);

/* Changes some of them without telling the compiler: for interrupt handlers. */
void registers_spoil(void);

#endif
