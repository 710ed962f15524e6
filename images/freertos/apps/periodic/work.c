/* SPDX-License-Identifier: MIT */
/*
 * Work of a known amount: rounds of a loop, not time by the clock. A task that
 * is kept from running has as much left to do afterwards.
 */
#include "work.h"

#include "guest.h"

enum { SAMPLE_ROUNDS = 20000, SAMPLES = 24 };

static uint32_t rounds_per_ms = 1;

/* The same two instructions at either width. */
static void __attribute__((noinline)) rounds(unsigned long count)
{
    __asm__ volatile("1:\tsubs %0, %0, #1\n\tbne 1b" : "+r"(count) :: "cc");
}

void work_calibrate(void)
{
    uint64_t least = UINT64_MAX;

    for (int i = 0; i < SAMPLES; i++) {
        uint64_t start = counter_now(), took;

        rounds(SAMPLE_ROUNDS);
        took = counter_now() - start;
        if (took < least)
            least = took;
    }
    rounds_per_ms = (uint32_t)((uint64_t)SAMPLE_ROUNDS * counter_hz() / 1000 / (least + !least));
    rounds_per_ms += !rounds_per_ms;
}

void work_for_us(uint32_t microseconds)
{
    rounds((uint32_t)((uint64_t)rounds_per_ms * microseconds / 1000) + 1);
}

uint32_t work_rounds_per_ms(void)
{
    return rounds_per_ms;
}
