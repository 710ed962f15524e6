/* SPDX-License-Identifier: MIT */
#ifndef FRAME_H
#define FRAME_H

#include <stdint.h>

/* What a fault interrupted, as vectors.S stores it: x0 to x30, its stack pointer, ELR, SPSR. */
struct fault_frame {
    uint64_t x[31], sp, pc, pstate;
};

static inline uintptr_t frame_state(const struct fault_frame *frame)
{
    return frame->pstate;
}

/* Called by vectors.S with which vector was taken: 0 an exception of an instruction, 1 another. */
void frame_fault(uint64_t vector, struct fault_frame *frame);

#endif
